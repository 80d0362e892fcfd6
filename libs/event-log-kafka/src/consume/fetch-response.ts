import { ByteReader } from './byte-reader.js'

/**
 * Kafka's answer to a Fetch (version 11), read here because kafkajs drops everything when one partition of it failed,
 * decodes all of it at once, and loses sight of where a batch without records ends.
 */
export interface FetchResponse {
  /** Read by kafkajs, which then waits that long before the connection's next request. */
  readonly clientSideThrottleTime: number
  readonly errorCode: number
  readonly partitions: readonly FetchedPartition[]
}

export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** Where a read_committed reader has to stop at present. */
  readonly lastStableOffset: number
  readonly aborted: readonly AbortedTransaction[]
  /** Record batches; the last one may be cut off. */
  readonly records: Buffer
}

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

export const FETCH_VERSION = 11
const NOTHING = Buffer.alloc(0)

export function decodeFetchResponse(payload: Buffer): FetchResponse {
  const reader = new ByteReader(payload)
  const clientSideThrottleTime = reader.int32()
  const errorCode = reader.int16()
  reader.int32() // session id: sessions are not used
  const partitions = reader.array(() => {
    const topic = reader.string()
    return reader.array(() => readPartition(reader, topic))
  })
  return { clientSideThrottleTime, errorCode, partitions: partitions.flat() }
}

function readPartition(reader: ByteReader, topic: string): FetchedPartition {
  const partition = reader.int32()
  const errorCode = reader.int16()
  reader.int64() // high watermark
  const lastStableOffset = reader.int64()
  reader.int64() // log start offset
  const aborted = reader.array(() => ({ producerId: reader.bigint64(), firstOffset: reader.int64() }))
  reader.int32() // preferred read replica
  const length = reader.int32()
  return { topic, partition, errorCode, lastStableOffset, aborted, records: length > 0 ? reader.take(length) : NOTHING }
}
