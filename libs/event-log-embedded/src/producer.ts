import { PlateauError } from '@plateau/contracts'
import {
  Admission,
  type AppendedRecord,
  type NewRecord,
  partitionOf,
  type Producer,
  type ProducerOptions,
} from '@plateau/event-log'
import type { AppendQueue } from './append-queue.js'
import { closedError } from './log-errors.js'
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
}

/** Places records, waits for room or sheds, hands them to their topic's queue. */
export class EmbeddedProducer implements Producer {
  readonly #parts: ProducerParts
  readonly #admission: Admission
  readonly #sends = new Set<Promise<unknown>>()
  #closed = false

  constructor(parts: ProducerParts) {
    this.#parts = parts
    this.#admission = new Admission(parts.options)
  }

  get bytesInFlight(): number {
    return this.#admission.bytesInFlight
  }

  async send(topic: string, records: readonly NewRecord[]): Promise<AppendedRecord[]> {
    if (this.#closed) throw closedError()
    const send = this.#send(topic, records)
    this.#sends.add(send)
    try {
      return await send
    } finally {
      this.#sends.delete(send)
    }
  }

  async flush(): Promise<void> {
    await Promise.allSettled(this.#sends)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.flush()
  }

  async #send(name: string, records: readonly NewRecord[]): Promise<AppendedRecord[]> {
    const { lease } = this.#parts
    const topic = this.#parts.topicOf(name)
    if (lease !== undefined && !lease.topics.includes(name)) throw notLeasedError(name, lease.fence.name)
    const placed = records.map((record) => place(topic, record, this.#parts.nowMs))
    if (placed.length === 0) return []
    const queue = this.#parts.queueOf(topic)
    const bytes = placed.reduce((sum, record) => sum + record.bytes, 0)
    try {
      return await this.#admission.admit(name, bytes, () => queue.add(placed, bytes, lease?.fence))
    } catch (thrown) {
      if (thrown instanceof PlateauError && thrown.code === 'WRITER_FENCED') lease?.onFenced()
      throw thrown
    }
  }
}

function notLeasedError(topic: string, lease: string): PlateauError {
  return new PlateauError(
    'TOPIC_NOT_LEASED',
    `Lease ${lease} was not taken for topic ${topic}: name it in its topics.`,
    {
      facts: { topic, lease },
    },
  )
}

function place(topic: StoredTopic, record: NewRecord, nowMs: () => number): PlacedRecord {
  const { key, value } = record
  const recordBytes = Buffer.byteLength(key) + (value?.length ?? 0)
  if (recordBytes > topic.maxRecordBytes) {
    throw new PlateauError(
      'RECORD_TOO_LARGE',
      `A record of ${recordBytes} bytes does not fit topic ${topic.name}, which takes ${topic.maxRecordBytes}.`,
      { facts: { topic: topic.name, bytes: recordBytes, maxBytes: topic.maxRecordBytes } },
    )
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
