import type { StampedBatch } from './produce-link.js'

/** The newest that kafkajs can read the answer of, and the first that may carry zstd: brokers from 2.1 on. */
export const PRODUCE_VERSION = 7

/** A Produce request after its header: nullable transactional id, acks, timeout, topics, batches. */
export function produceBody(
  batches: readonly StampedBatch[],
  { transactionalId, timeoutMs }: { readonly transactionalId: string | null; readonly timeoutMs: number },
): Buffer {
  const byTopic = Map.groupBy(batches, ({ topic }) => topic)
  const parts: Buffer[] = [string(transactionalId), int16(ACKS_ALL), int32(timeoutMs), int32(byTopic.size)]
  for (const [topic, ofTopic] of byTopic) {
    parts.push(string(topic), int32(ofTopic.length))
    for (const { partition, bytes } of ofTopic) parts.push(int32(partition), int32(bytes.length), bytes)
  }
  return Buffer.concat(parts)
}

const ACKS_ALL = -1

function string(value: string | null): Buffer {
  if (value === null) return int16(-1)
  const bytes = Buffer.from(value)
  return Buffer.concat([int16(bytes.length), bytes])
}

function int16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value)
  return bytes
}
