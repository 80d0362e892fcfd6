import { PlateauError } from '@plateau/contracts'
import { Admission, type AppendedRecord, type NewRecord, type Producer, type ProducerOptions } from '@plateau/event-log'
import { closedError } from '../kafka-errors.js'
import type { TopicCatalog, TopicFacts } from '../topics/topic-catalog.js'
import type { WireFormat } from '../wire-format.js'
import type { PartitionLanes } from './partition-lanes.js'
import type { LaneRecord } from './partition-lane.js'
import { SendCall } from './partition-lane.js'
import { BATCH_OVERHEAD_BYTES, RECORD_OVERHEAD_BYTES } from './record-batch.js'

export interface LogProducerParts {
  readonly topics: TopicCatalog
  readonly lanes: PartitionLanes
  readonly wire: WireFormat
  readonly nowMs: () => number
  readonly options: ProducerOptions
  /** For the producer of a lease: the only topics that it may append to. */
  readonly lease?: { readonly name: string; readonly topics: readonly string[] } | undefined
}

/** Places records, waits for room or sheds, and hands them to the lanes of their partitions. */
export class LogProducer implements Producer {
  readonly #parts: LogProducerParts
  readonly #admission: Admission
  readonly #sends = new Set<Promise<unknown>>()
  /** Sends that wait to learn of their topic: what comes after them for the same topic waits behind them. */
  readonly #asking = new Map<string, number>()
  #isClosed = false

  constructor(parts: LogProducerParts) {
    this.#parts = parts
    this.#admission = new Admission(parts.options)
  }

  get bytesInFlight(): number {
    return this.#admission.bytesInFlight
  }

  async send(topic: string, records: readonly NewRecord[]): Promise<AppendedRecord[]> {
    if (this.#isClosed) throw closedError()
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
    this.#isClosed = true
    await this.flush()
  }

  async #send(topic: string, records: readonly NewRecord[]): Promise<AppendedRecord[]> {
    const { lease, topics } = this.#parts
    if (lease !== undefined && !lease.topics.includes(topic)) throw notLeased(topic, lease.name)
    // At once where the topic is known, so that the bytes count as in flight when `send` returns.
    const known = this.#asking.has(topic) ? undefined : topics.known(topic)
    return this.#append(known ?? (await this.#ask(topic)), records)
  }

  async #ask(topic: string): Promise<TopicFacts> {
    this.#asking.set(topic, (this.#asking.get(topic) ?? 0) + 1)
    try {
      return await this.#parts.topics.get(topic)
    } finally {
      const left = (this.#asking.get(topic) ?? 1) - 1
      if (left === 0) this.#asking.delete(topic)
      else this.#asking.set(topic, left)
    }
  }

  #append(facts: TopicFacts, records: readonly NewRecord[]): Promise<AppendedRecord[]> {
    if (records.length === 0) return Promise.resolve([])
    const call = new SendCall(records.length)
    const placed = records.map((record, index) => this.#place(facts, record, call, index))
    const bytes = placed.reduce((sum, record) => sum + record.bytes, 0)
    return this.#admission.admit(facts.name, bytes, () => {
      for (const record of placed) this.#parts.lanes.add(facts, record)
      return call.settled
    })
  }

  #place(facts: TopicFacts, record: NewRecord, call: SendCall, index: number): LaneRecord {
    const { headers, timestampMs } = record
    const key = Buffer.from(record.key)
    const value = record.value === null ? null : this.#parts.wire.encode(facts.name, record.value)
    const recordBytes = key.length + (record.value?.length ?? 0)
    if (recordBytes > facts.maxRecordBytes) throw tooLarge(facts, recordBytes, facts.maxRecordBytes)
    const bytes = RECORD_OVERHEAD_BYTES + key.length + (value?.length ?? 0) + headerBytes(headers)
    const room = facts.maxBatchBytes - BATCH_OVERHEAD_BYTES
    if (bytes > room) throw tooLarge(facts, bytes, room)
    return { key, value, headers, timestampMs: Math.trunc(timestampMs ?? this.#parts.nowMs()), bytes, call, index }
  }
}

/** Two lengths for each header, of up to five bytes. */
const HEADER_OVERHEAD_BYTES = 10

function headerBytes(headers: NewRecord['headers']): number {
  let bytes = 0
  for (const name of Object.keys(headers)) {
    bytes += HEADER_OVERHEAD_BYTES + Buffer.byteLength(name) + Buffer.byteLength(headers[name]!)
  }
  return bytes
}

function tooLarge({ name }: TopicFacts, bytes: number, maxBytes: number): PlateauError {
  return new PlateauError(
    'RECORD_TOO_LARGE',
    `A record of ${bytes} bytes does not fit topic ${name}, which takes ${maxBytes}.`,
    { facts: { topic: name, bytes, maxBytes } },
  )
}

function notLeased(topic: string, lease: string): PlateauError {
  return new PlateauError(
    'TOPIC_NOT_LEASED',
    `Lease ${lease} was not taken for topic ${topic}: name it in its topics.`,
    {
      facts: { topic, lease },
    },
  )
}
