import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf, PlateauError, type TopicSpec } from '@plateau/contracts'

/** The repository's own, seen from src/ and from dist/ alike. */
export const PROTO_DIRECTORY = fileURLToPath(new URL('../../../proto', import.meta.url))

/** The text of the file that declares a topic's message. */
export function protoText(topic: TopicSpec, directory = PROTO_DIRECTORY): string {
  const path = join(directory, topic.schema.file)
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new PlateauError('PROTO_MISSING', `${topic.name} is declared in ${path}: ${messageOf(cause)}`, { cause })
  }
}

/** What a topic is for: the first sentence above its message. Empty when the message has no comment. */
export function purposeOf(topic: TopicSpec, text: string): string {
  const name = topic.messageType.split('.').at(-1)!
  const lines = text.split('\n')
  const declared = lines.findIndex((line) => line.startsWith(`message ${name} {`))
  const first = lines.findLastIndex((line, i) => i < declared && !line.startsWith('//')) + 1
  const comment = lines
    .slice(first, Math.max(first, declared))
    .map((line) => line.replace(/^\/\/ ?/, ''))
    .join(' ')
  return /^.*?[.:](?=\s|$)/.exec(comment)?.[0].replace(/:$/, '.') ?? comment
}
