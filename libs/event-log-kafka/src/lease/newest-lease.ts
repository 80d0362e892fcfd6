import { readUpToNow } from '@plateau/event-log'
import type { LeaseRecord } from './leases-topic.js'
import { leasesTopic } from './leases-topic.js'
import type { KafkaConnection } from '../connection.js'
import { openReader } from '../consume/open-reader.js'

/** Who took the lease last, of those whose taking was committed by now; undefined when nobody ever did. */
export async function newestLease(
  connection: KafkaConnection,
  name: string,
  signal?: AbortSignal,
): Promise<LeaseRecord | undefined> {
  const reader = openReader({ topic: leasesTopic.name, from: 'earliest' }, connection)
  let newest: LeaseRecord | undefined
  for await (const { records } of readUpToNow(reader, signal)) {
    for (const { key, value } of records) {
      if (key === name && value !== null) newest = leasesTopic.codec.decode(value)
    }
  }
  return newest
}
