import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { chartDirectory } from '../paths.js'

export interface Right {
  readonly type: 'topic' | 'group' | 'transactionalId'
  readonly name: string
  readonly pattern?: 'prefix'
  readonly operations: readonly string[]
}

/** By service: what it may do on Kafka. */
export function readKafkaRights(): Readonly<Record<string, readonly Right[]>> {
  const text = readFileSync(join(chartDirectory, 'files/kafka-rights.yaml'), 'utf8')
  return (parse(text) as { rights: Record<string, readonly Right[]> }).rights
}

/** As a sentence for people: "Read on `a`, `b`; Write on `c`; Read on groups `d*`". Describing is not said each time. */
export function rightsText(rights: readonly Right[]): string {
  const parts: string[] = []
  for (const type of ['topic', 'group', 'transactionalId'] as const) {
    for (const operation of ['Read', 'Write']) {
      const names = rights
        .filter((right) => right.type === type && right.operations.includes(operation))
        .map(
          ({ name, pattern }) =>
            `\`${name.replace(/^(internal|public)\.plateau\./, '')}${pattern === 'prefix' ? '*' : ''}\``,
        )
      const what = { topic: '', group: 'groups ', transactionalId: 'transactional ids ' }[type]
      if (names.length > 0) parts.push(`${operation} on ${what}${names.join(', ')}`)
    }
  }
  return parts.join('; ')
}
