import { PlateauError } from '@plateau/contracts'
import type { AppendedRecord } from '@plateau/event-log'
import type { BatchSender } from './batch-sender.js'
import { type BatchRecord, BATCH_OVERHEAD_BYTES } from './record-batch.js'

/** Large enough that its own cost per batch no longer shows, small enough for every topic's max.message.bytes. */
const MAX_BATCH_BYTES = 900 * 1024
/** A batch of this size is worth a request of its own: it does not wait for more. */
const NO_LINGER_BYTES = 64 * 1024

/** The records of one call to `send`, over all partitions. Settles when each of them has. */
export class SendCall {
  readonly settled: Promise<AppendedRecord[]>
  readonly #appended: AppendedRecord[]
  readonly #resolvers = Promise.withResolvers<AppendedRecord[]>()
  #left: number
  #failure: { readonly reason: unknown } | undefined

  constructor(records: number) {
    this.settled = this.#resolvers.promise
    this.#appended = Array.from({ length: records })
    this.#left = records
  }

  append(index: number, place: AppendedRecord): void {
    this.#appended[index] = place
    this.#countDown()
  }

  fail(reason: unknown): void {
    this.#failure ??= { reason }
    this.#countDown()
  }

  #countDown(): void {
    if (--this.#left > 0) return
    if (this.#failure === undefined) this.#resolvers.resolve(this.#appended)
    else this.#resolvers.reject(this.#failure.reason)
  }
}

export interface LaneRecord extends BatchRecord {
  /** Upper bound of what it takes in a batch. */
  readonly bytes: number
  readonly call: SendCall
  /** Its place among the call's records. */
  readonly index: number
}

export interface LaneOptions {
  readonly lingerMs: number
  readonly maxBatchBytes: number
}

/**
 * The records of one partition on their way, in order: one batch at a time, and what comes meanwhile is the next batch.
 * This, and not a lock further down, is what keeps the order and makes each sequence number belong to one batch.
 */
export class PartitionLane {
  readonly #topic: string
  readonly #partition: number
  readonly #sender: BatchSender
  readonly #options: LaneOptions
  #queue: LaneRecord[] = []
  #queuedBytes = 0
  #isSending = false
  #wake: (() => void) | undefined

  constructor(
    place: { readonly topic: string; readonly partition: number },
    sender: BatchSender,
    options: LaneOptions,
  ) {
    this.#topic = place.topic
    this.#partition = place.partition
    this.#sender = sender
    this.#options = { ...options, maxBatchBytes: Math.min(options.maxBatchBytes, MAX_BATCH_BYTES) }
  }

  add(record: LaneRecord): void {
    this.#queue.push(record)
    this.#queuedBytes += record.bytes
    if (this.#queuedBytes >= NO_LINGER_BYTES) this.#wake?.()
    if (!this.#isSending) void this.#sendAll()
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true
    // What is sent in this turn of the event loop travels together in any case.
    await this.#linger()
    while (this.#queue.length > 0) await this.#send(this.#takeBatch())
    this.#isSending = false
  }

  async #linger(): Promise<void> {
    const { lingerMs } = this.#options
    if (lingerMs === 0 || this.#queuedBytes >= NO_LINGER_BYTES) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lingerMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = undefined
  }

  #takeBatch(): LaneRecord[] {
    let bytes = BATCH_OVERHEAD_BYTES
    let count = 0
    for (const record of this.#queue) {
      if (count > 0 && bytes + record.bytes > this.#options.maxBatchBytes) break
      bytes += record.bytes
      count++
    }
    const batch = this.#queue.slice(0, count)
    this.#queue = this.#queue.slice(count)
    this.#queuedBytes -= bytes - BATCH_OVERHEAD_BYTES
    return batch
  }

  async #send(records: readonly LaneRecord[]): Promise<void> {
    try {
      const offset = await this.#sender.send({ topic: this.#topic, partition: this.#partition, records })
      for (const [i, { call, index }] of records.entries()) {
        call.append(index, { partition: this.#partition, offset: offset + i })
      }
    } catch (thrown) {
      if (isTooLarge(thrown) && records.length > 1) return this.#sendHalves(records)
      for (const { call } of records) call.fail(thrown)
    }
  }

  /** Somebody has lowered the topic's max.message.bytes: not the records are too large, but so many of them together. */
  async #sendHalves(records: readonly LaneRecord[]): Promise<void> {
    const middle = Math.ceil(records.length / 2)
    await this.#send(records.slice(0, middle))
    await this.#send(records.slice(middle))
  }
}

function isTooLarge(thrown: unknown): boolean {
  return thrown instanceof PlateauError && thrown.code === 'RECORD_TOO_LARGE'
}
