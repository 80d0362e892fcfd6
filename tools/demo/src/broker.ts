import { allTopics, deadLetterTopics } from '@plateau/contracts'
import { resolveKafka, startBroker } from '@plateau/kafka-dev'
import { eventLogConfig, openEventLog } from '@plateau/service-kit'
import { join } from 'node:path'
import type { DemoOptions } from './options.js'

export interface DemoBroker {
  /** What the services are told about it. */
  readonly settings: Readonly<Record<string, string>>
  /** Others may have used it, and may be using it. */
  readonly isShared: boolean
  close(): Promise<void>
}

/** The Kafka that the options ask for; undefined when the demo runs on the embedded log. */
export async function openBroker(
  kafka: DemoOptions['kafka'],
  directory: string,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<DemoBroker | undefined> {
  if (kafka === undefined) return undefined
  if (kafka !== 'own broker') {
    const inherited = Object.entries(process.env).filter(([key]) => key.startsWith('PLATEAU_KAFKA_'))
    const settings = { ...(Object.fromEntries(inherited) as Record<string, string>), PLATEAU_EVENT_LOG: urlOf(kafka) }
    say(`connecting to Kafka at ${kafka.join(', ')}`)
    await prepareTopics(settings)
    return { settings, isShared: true, close: async () => {} }
  }
  await resolveKafka({ onProgress: say })
  say('starting a Kafka broker')
  const broker = await startBroker({ directory: join(directory, 'kafka'), signal })
  return {
    settings: { PLATEAU_EVENT_LOG: urlOf(broker.bootstrapServers), PLATEAU_KAFKA_REPLICATION: '1' },
    isShared: false,
    close: () => broker.destroy(),
  }
}

/** What the services would stumble over, each in its own log, is said here in one sentence. */
async function prepareTopics(settings: Readonly<Record<string, string>>): Promise<void> {
  const log = await openEventLog(eventLogConfig.parse(settings))
  try {
    await log.ensureTopics([...allTopics, ...deadLetterTopics])
  } finally {
    await log.close()
  }
}

const urlOf = (servers: readonly string[]): string => `kafka:${servers.join(',')}`
