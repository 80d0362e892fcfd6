import type { Reader, ReaderOptions } from '@plateau/event-log'
import type { KafkaConnection } from '../connection.js'

export function openReader(_options: ReaderOptions, _connection: KafkaConnection): Reader {
  throw new Error('not written yet')
}
