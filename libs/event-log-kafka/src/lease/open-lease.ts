import { hostname } from 'node:os'
import type { Lease, LeaseOptions, Producer } from '@plateau/event-log'
import type { KafkaConnection } from '../connection.js'
import type { BatchSender } from '../produce/batch-sender.js'
import { ensureTopics } from '../topics/topic-admin.js'
import { LeaseCandidate } from './lease-candidate.js'
import { leasesTopic } from './leases-topic.js'

/** `producerOver` makes the log's usual producer (batching, admission, limits) write through another sender. */
export async function openLease(
  options: LeaseOptions,
  connection: KafkaConnection,
  producerOver: (sender: BatchSender) => Producer,
): Promise<Lease> {
  options.signal?.throwIfAborted()
  await Promise.all(options.topics.map((topic) => connection.topics.get(topic)))
  await ensureTopics(connection, [leasesTopic])
  const holder = `${connection.settings.clientId} ${hostname()} ${process.pid}`
  return new LeaseCandidate(options, connection, { holder, producerOver }).wait()
}
