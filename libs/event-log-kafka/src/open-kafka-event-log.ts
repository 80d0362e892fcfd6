import type { EventLog } from '@plateau/event-log'
import { connect } from './connection.js'
import { KafkaEventLog } from './kafka-event-log.js'
import { type KafkaLogOptions, settingsOf } from './options.js'

/**
 * Opens the event log that a Kafka cluster holds, and asks it for its nodes. Throws LOG_UNAUTHENTICATED or LOG_TLS_FAILED
 * at once, LOG_UNAVAILABLE when no broker was there for `patienceMs`.
 */
export async function openKafkaEventLog(options: KafkaLogOptions): Promise<EventLog> {
  return new KafkaEventLog(await connect(settingsOf(options)))
}
