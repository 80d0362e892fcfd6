import { PlateauError } from '@plateau/contracts'
import { type AppendedRecord, type NewRecord, partitionOf, type Producer } from '@plateau/event-log'
import type { AppendQueue } from './append-queue.js'
import { closedError } from './log-errors.js'
import type { StoredTopic } from './topic-differences.js'
import type { Fence, PlacedRecord } from './topic-store.js'

const DEFAULT_MAX_BYTES_IN_FLIGHT = 8 * 1024 * 1024

export interface ProducerParts {
  readonly topicOf: (name: string) => StoredTopic
  readonly queueOf: (topic: StoredTopic) => AppendQueue
  readonly nowMs: () => number
  readonly maxBytesInFlight?: number | undefined
  readonly whenFull?: 'wait' | 'shed' | undefined
  /** For the producer of a lease: what its appends are checked against, and the only topics that it may append to. */
  readonly lease?:
    | { readonly fence: Fence; readonly topics: readonly string[]; readonly onFenced: () => void }
    | undefined
}

interface Waiter {
  readonly bytes: number
  readonly start: () => void
}

/** Places records, waits for room or sheds, hands them to their topic's queue. */
export class EmbeddedProducer implements Producer {
  readonly #parts: ProducerParts
  readonly #maxBytes: number
  readonly #waiters: Waiter[] = []
  readonly #sends = new Set<Promise<unknown>>()
  #bytesInFlight = 0
  #closed = false

  constructor(parts: ProducerParts) {
    this.#parts = parts
    this.#maxBytes = parts.maxBytesInFlight ?? DEFAULT_MAX_BYTES_IN_FLIGHT
  }

  get bytesInFlight(): number {
    return this.#bytesInFlight
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
    this.#shedIfFull(name, bytes)
    try {
      return await this.#admit(bytes, () => queue.add(placed, bytes, lease?.fence))
    } catch (thrown) {
      if (thrown instanceof PlateauError && thrown.code === 'WRITER_FENCED') lease?.onFenced()
      throw thrown
    } finally {
      this.#bytesInFlight -= bytes
      this.#admitWaiting()
    }
  }

  #shedIfFull(topic: string, bytes: number): void {
    if (this.#parts.whenFull !== 'shed' || this.#hasRoomFor(bytes)) return
    throw new PlateauError(
      'PRODUCER_FULL',
      `${this.#bytesInFlight} bytes are on their way to the event log, and ${this.#maxBytes} may be: ${bytes} more ` +
        `for ${topic} were refused.`,
      { facts: { topic, bytes, bytesInFlight: this.#bytesInFlight, maxBytes: this.#maxBytes }, retryable: true },
    )
  }

  /**
   * First come, first served, and each is started inside this call or inside the one that made room: one turn later
   * another send could overtake it, and the records of a partition would change their order.
   */
  #admit<T>(bytes: number, start: () => Promise<T>): Promise<T> {
    if (this.#waiters.length === 0 && this.#hasRoomFor(bytes)) {
      this.#bytesInFlight += bytes
      return start()
    }
    return new Promise((resolve) => this.#waiters.push({ bytes, start: () => resolve(start()) }))
  }

  #admitWaiting(): void {
    for (let first = this.#waiters[0]; first !== undefined && this.#hasRoomFor(first.bytes); first = this.#waiters[0]) {
      this.#waiters.shift()
      this.#bytesInFlight += first.bytes
      first.start()
    }
  }

  /** One send larger than the bound may go alone: otherwise it would wait for ever. */
  #hasRoomFor(bytes: number): boolean {
    return this.#bytesInFlight === 0 || this.#bytesInFlight + bytes <= this.#maxBytes
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
