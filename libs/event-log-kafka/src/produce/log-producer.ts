import type { AppendedRecord, NewRecord } from '@plateau/event-log'
import { AdapterProducer, type AdapterProducerParts, recordTooLargeError } from '@plateau/event-log/adapter'
import type { TopicCatalog, TopicFacts } from '../topics/topic-catalog.js'
import type { WireFormat } from '../wire-format.js'
import type { PartitionLanes } from './partition-lanes.js'
import type { LaneRecord } from './partition-lane.js'
import { SendCall } from './partition-lane.js'
import { BATCH_OVERHEAD_BYTES, RECORD_OVERHEAD_BYTES } from './record-batch.js'

export interface LogProducerParts extends AdapterProducerParts {
  readonly topics: TopicCatalog
  readonly lanes: PartitionLanes
  readonly wire: WireFormat
  readonly nowMs: () => number
}

/** Places records and hands them to the lanes of their partitions. */
export class LogProducer extends AdapterProducer {
  readonly #parts: LogProducerParts
  /** Sends that wait to learn of their topic: what comes after them for the same topic waits behind them. */
  readonly #asking = new Map<string, number>()

  constructor(parts: LogProducerParts) {
    super(parts)
    this.#parts = parts
  }

  protected override async append(topic: string, records: readonly NewRecord[]): Promise<AppendedRecord[]> {
    // At once where the topic is known, so that the bytes count as in flight when `send` returns.
    const known = this.#asking.has(topic) ? undefined : this.#parts.topics.known(topic)
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
    return this.admission.admit(facts.name, bytes, () => {
      for (const record of placed) this.#parts.lanes.add(facts, record)
      return call.settled
    })
  }

  #place(facts: TopicFacts, record: NewRecord, call: SendCall, index: number): LaneRecord {
    const { headers, timestampMs } = record
    const key = Buffer.from(record.key)
    const value = record.value === null ? null : this.#parts.wire.encode(facts.name, record.value)
    const recordBytes = key.length + (record.value?.length ?? 0)
    if (recordBytes > facts.maxRecordBytes) throw recordTooLargeError(facts.name, recordBytes, facts.maxRecordBytes)
    const bytes = RECORD_OVERHEAD_BYTES + key.length + (value?.length ?? 0) + headerBytes(headers)
    const room = facts.maxBatchBytes - BATCH_OVERHEAD_BYTES
    if (bytes > room) throw recordTooLargeError(facts.name, bytes, room)
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
