import type { Lease, LeaseOptions, Producer } from '@plateau/event-log'
import type { KafkaConnection } from '../connection.js'
import type { BatchSender } from '../produce/batch-sender.js'

/** `producerOver` makes the log's usual producer (batching, admission, limits) write through another sender. */
export async function openLease(
  _options: LeaseOptions,
  _connection: KafkaConnection,
  _producerOver: (sender: BatchSender) => Producer,
): Promise<Lease> {
  throw new Error('not written yet')
}
