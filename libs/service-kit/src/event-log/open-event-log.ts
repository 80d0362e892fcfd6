import type { EventLog } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import type { EventLogConfig } from './event-log-config.js'

export interface OpenOptions {
  /** Names this process to the brokers. Default "plateau". */
  readonly clientId?: string
  /** Hears what the log has to say about its connections. */
  readonly logger?: Logger
}

/**
 * Opens the log that PLATEAU_EVENT_LOG names. Creates no topics: whoever uses some calls `ensureTopics` with those, so
 * that a process needs rights on no others.
 */
export async function openEventLog(config: EventLogConfig, options: OpenOptions = {}): Promise<EventLog> {
  // Imported late: the contracts load grpc-js, which tracing has to see first.
  const url = config.eventLog
  if (url.kind === 'embedded') {
    const { openEmbeddedEventLog } = await import('@plateau/event-log-embedded')
    return openEmbeddedEventLog(url.directory, {
      synchronous: config.eventLogSync,
      ...(config.eventLogMaxTopicBytes === undefined ? {} : { maxTopicBytes: config.eventLogMaxTopicBytes }),
      onMaintenanceError: (error) => options.logger?.warn('retention or compaction failed, trying again', { error }),
    })
  }
  const { openKafkaEventLog } = await import('@plateau/event-log-kafka')
  const { kafkaOptions } = await import('./kafka-options.js')
  const { logger, clientId } = options
  return openKafkaEventLog({
    ...(await kafkaOptions(config, url.bootstrapServers)),
    ...(clientId === undefined ? {} : { clientId }),
    ...(logger === undefined ? {} : { onLog: ({ level, message, fields }) => logger[level](message, { ...fields }) }),
  })
}
