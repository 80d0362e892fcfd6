import { PlateauError } from '@plateau/contracts'
import { type AppendedRecord, type NewRecord, partitionOf, type ProducerOptions } from '@plateau/event-log'
import { AdapterProducer, recordTooLargeError } from '@plateau/event-log/adapter'
import type { AppendQueue } from './append-queue.js'
import type { StoredTopic } from './topic-differences.js'
import type { Fence, PlacedRecord } from './topic-store.js'

export interface ProducerParts {
  readonly topicOf: (name: string) => StoredTopic
  readonly queueOf: (topic: StoredTopic) => AppendQueue
  readonly nowMs: () => number
  readonly options: ProducerOptions
  /** For the producer of a lease: what its appends are checked against, and the only topics that it may append to. */
  readonly lease?:
    | { readonly fence: Fence; readonly topics: readonly string[]; readonly onFenced: () => void }
    | undefined
  readonly onClosed: () => void
}

/** Places records and hands them to their topic's queue. */
export class EmbeddedProducer extends AdapterProducer {
  readonly #parts: ProducerParts

  constructor(parts: ProducerParts) {
    const { options, lease, onClosed } = parts
    super({ options, lease: lease && { name: lease.fence.name, topics: lease.topics }, onClosed })
    this.#parts = parts
  }

  protected override async append(name: string, records: readonly NewRecord[]): Promise<AppendedRecord[]> {
    const { lease } = this.#parts
    const topic = this.#parts.topicOf(name)
    const placed = records.map((record) => place(topic, record, this.#parts.nowMs))
    if (placed.length === 0) return []
    const queue = this.#parts.queueOf(topic)
    const bytes = placed.reduce((sum, record) => sum + record.bytes, 0)
    try {
      return await this.admission.admit(name, bytes, () => queue.add(placed, bytes, lease?.fence))
    } catch (thrown) {
      if (thrown instanceof PlateauError && thrown.code === 'WRITER_FENCED') lease?.onFenced()
      throw thrown
    }
  }
}

function place(topic: StoredTopic, record: NewRecord, nowMs: () => number): PlacedRecord {
  const { key, value } = record
  const recordBytes = Buffer.byteLength(key) + (value?.length ?? 0)
  if (recordBytes > topic.maxRecordBytes) {
    throw recordTooLargeError(topic.name, recordBytes, topic.maxRecordBytes)
  }
  const headersJson = JSON.stringify(record.headers)
  return {
    partition: partitionOf(key, topic.partitions),
    key,
    value,
    headersJson,
    timestampMs: record.timestampMs ?? nowMs(),
    bytes: recordBytes + Buffer.byteLength(headersJson),
  }
}
