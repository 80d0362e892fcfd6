import type { Consumer, ConsumerOptions } from '@plateau/event-log'
import type { KafkaConnection } from '../connection.js'

export function openConsumer(_options: ConsumerOptions, _connection: KafkaConnection): Consumer {
  throw new Error('not written yet')
}
