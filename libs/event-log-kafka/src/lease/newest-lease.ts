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
  const stop = () => void reader.close()
  signal?.addEventListener('abort', stop)
  let newest: LeaseRecord | undefined
  const reading = (async () => {
    for await (const { records } of reader) {
      for (const { key, value } of records) {
        if (key === name && value !== null) newest = leasesTopic.codec.decode(value)
      }
    }
  })()
  try {
    // The reading only ends before that when it fails.
    await Promise.race([reader.caughtUp, reading])
  } finally {
    signal?.removeEventListener('abort', stop)
    await reader.close()
  }
  await reading
  return newest
}
