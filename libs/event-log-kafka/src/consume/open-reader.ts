import type { Reader, ReaderOptions } from '@plateau/event-log'
import type { KafkaConnection } from '../connection.js'
import { KafkaReader } from './reader.js'

export function openReader(options: ReaderOptions, connection: KafkaConnection, onClosed = () => {}): Reader {
  return new KafkaReader(options, connection, onClosed)
}
