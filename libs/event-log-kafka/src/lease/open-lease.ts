import { hostname } from 'node:os'
import { untilAborted, type Lease, type LeaseOptions, type Producer } from '@plateau/event-log'
import { closedError } from '@plateau/event-log/adapter'
import type { KafkaConnection } from '../connection.js'
import type { BatchSender } from '../produce/batch-sender.js'
import { patiently } from '../consume/patience.js'
import { ensureTopics } from '../topics/topic-admin.js'
import { LeaseCandidate } from './lease-candidate.js'
import { leasesTopic } from './leases-topic.js'

/** `producerOver` makes the log's usual producer (batching, admission, limits) write through another sender. */
export async function openLease(
  options: LeaseOptions & { readonly signal: AbortSignal },
  connection: KafkaConnection,
  producerOver: (sender: BatchSender) => Producer,
): Promise<Lease> {
  options.signal.throwIfAborted()
  // As patient as the waiting that follows: one who lost the lease by an outage stands for it again during the outage.
  const prepared = patiently(connection, { doing: `stand for the lease ${options.name}` }, async () => {
    if (options.signal.aborted) throw closedError()
    await Promise.all(options.topics.map((topic) => connection.topics.get(topic)))
    await ensureTopics(connection, [leasesTopic])
  })
  await untilAborted(prepared, options.signal)
  const holder = `${connection.settings.clientId} ${hostname()} ${process.pid}`
  return new LeaseCandidate(options, connection, { holder, producerOver }).wait()
}
