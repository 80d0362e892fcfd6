import type { EventLog } from '@plateau/event-log'
import type { CommonConfig } from './common-config.js'

/** Opens the log that PLATEAU_EVENT_LOG names and makes sure that every topic is there. */
export async function openEventLog(config: CommonConfig): Promise<EventLog> {
  const url = config.eventLog
  // Imported late: the contracts load grpc-js, which tracing has to see first.
  const { allTopics, PlateauError } = await import('@plateau/contracts')
  if (url.kind === 'kafka') {
    throw new PlateauError(
      'ADAPTER_MISSING',
      'the Kafka adapter is not in this build: set PLATEAU_EVENT_LOG=embedded:<directory>',
      { facts: { bootstrapServers: url.bootstrapServers.join(',') } },
    )
  }
  const { openEmbeddedEventLog } = await import('@plateau/event-log-embedded')
  const log = openEmbeddedEventLog(url.directory, {
    synchronous: config.eventLogSync,
    ...(config.eventLogMaxTopicBytes === undefined ? {} : { maxTopicBytes: config.eventLogMaxTopicBytes }),
  })
  await log.ensureTopics(allTopics)
  return log
}
