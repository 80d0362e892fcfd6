import type { LogRecord } from '@plateau/event-log'
import type { RecordChunk } from './record-chunk.js'

const MAX_BATCH_BYTES = 4 * 1024 * 1024

export interface FeedEvents {
  readonly onChange: () => void
  readonly onWant: () => void
  readonly onClosed: () => void
}

export interface FedRecords {
  readonly records: readonly LogRecord[]
  /** The next offset to read: behind the last record, and behind what nobody gets to see after it. */
  readonly next: number
  readonly highWatermark: number
}

/** One partition as its reader sees it: records in order from a position on. The fetcher fills it, one chunk ahead. */
export class PartitionFeed {
  readonly topic: string
  readonly partition: number
  /** On its way: in a fetch that has not been answered. */
  isAsked = false
  /** Tries since the last answer. */
  failures = 0
  /** Where the next fetch begins. */
  fetchOffset: number
  readonly #events: FeedEvents
  #inHand: RecordChunk | undefined
  #waiting: RecordChunk | undefined
  #highWatermark: number
  #failure: { readonly thrown: unknown } | undefined
  #troubledSinceMs: number | undefined
  #resting: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(topic: string, partition: number, position: number, events: FeedEvents) {
    this.topic = topic
    this.partition = partition
    this.fetchOffset = position
    this.#highWatermark = position
    this.#events = events
  }

  /** Everything before it has been read, or is not for anybody to see. */
  get position(): number {
    return this.#inHand?.position ?? this.#waiting?.start ?? this.fetchOffset
  }

  /** Undefined when there is nothing at present. Throws what the feed failed with. */
  async read(maxRecords: number): Promise<FedRecords | undefined> {
    for (;;) {
      this.#inHand ??= this.#nextChunk()
      if (this.#inHand === undefined) {
        if (this.#failure !== undefined) throw this.#failure.thrown
        return undefined
      }
      const chunk = this.#inHand
      const records = await chunk.take(maxRecords, MAX_BATCH_BYTES)
      if (!chunk.hasMore) this.#inHand = undefined
      const highWatermark = Math.max(this.#highWatermark, chunk.position)
      if (records.length > 0) return { records, next: chunk.position, highWatermark }
    }
  }

  close(): void {
    this.#isClosed = true
    this.#inHand = undefined
    this.#waiting = undefined
    clearTimeout(this.#resting)
    this.#events.onClosed()
  }

  /** From here on for the fetcher. */
  get wants(): boolean {
    const isFree = this.#waiting === undefined && !this.isAsked && this.#resting === undefined
    return isFree && !this.#isClosed && this.#failure === undefined
  }

  /** Since the first try without an answer; a feed that has enough to hand out does not try. */
  get troubledMs(): number {
    return this.#troubledSinceMs === undefined ? 0 : performance.now() - this.#troubledSinceMs
  }

  answered(highWatermark: number): void {
    this.#troubledSinceMs = undefined
    this.failures = 0
    this.#highWatermark = Math.max(this.#highWatermark, highWatermark)
  }

  supply(chunk: RecordChunk): void {
    if (this.#isClosed) return
    this.#waiting = chunk
    this.fetchOffset = chunk.end
    this.#events.onChange()
  }

  moveTo(offset: number): void {
    // Back: what there was beyond is gone.
    if (offset < this.fetchOffset) this.#highWatermark = offset
    this.answered(offset)
    this.fetchOffset = offset
    this.#events.onChange()
  }

  rest(ms: number): void {
    this.failures++
    this.#troubledSinceMs ??= performance.now()
    clearTimeout(this.#resting)
    this.#resting = setTimeout(() => {
      this.#resting = undefined
      this.#events.onWant()
    }, ms)
  }

  fail(thrown: unknown): void {
    this.#failure = { thrown }
    this.#events.onChange()
  }

  #nextChunk(): RecordChunk | undefined {
    const chunk = this.#waiting
    this.#waiting = undefined
    if (chunk !== undefined) this.#events.onWant()
    return chunk
  }
}
