import type { EventLog } from '@plateau/event-log'
import { openKafkaEventLog } from '../index.js'

/** Kafka cleans closed segments only, so topics of tests that wait for it begin a new one all the time. */
const CLEANED_AT_ONCE = {
  'segment.ms': '100',
  'min.compaction.lag.ms': '0',
  'min.cleanable.dirty.ratio': '0.01',
  'delete.retention.ms': '3600000',
}

/** Opens the log for the contract suite, here and in processes that it starts. */
export function openLog(bootstrapServers: string): Promise<EventLog> {
  return openKafkaEventLog({
    bootstrapServers: bootstrapServers.split(','),
    replication: 1,
    topicConfig: CLEANED_AT_ONCE,
  })
}
