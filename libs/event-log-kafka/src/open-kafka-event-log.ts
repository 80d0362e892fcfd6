import type { EventLog } from '@plateau/event-log'
import { connectionOf } from './connection.js'
import { KafkaEventLog } from './kafka-event-log.js'
import { type KafkaLogOptions, settingsOf } from './options.js'

/** Opens the event log that a Kafka cluster holds. */
export async function openKafkaEventLog(options: KafkaLogOptions): Promise<EventLog> {
  return new KafkaEventLog(
    connectionOf(settingsOf(options), () => {
      throw new Error('not written yet')
    }),
  )
}
