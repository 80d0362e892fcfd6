import type { Consumer, ConsumerOptions } from '@plateau/event-log'
import type { KafkaConnection } from '../connection.js'
import { KafkaConsumer } from './consumer.js'

export function openConsumer(options: ConsumerOptions, connection: KafkaConnection, onClosed = () => {}): Consumer {
  return new KafkaConsumer(options, connection, onClosed)
}
