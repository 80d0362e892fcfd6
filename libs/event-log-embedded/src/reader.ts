import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Batch, PartitionRange, Reader, ReaderOptions } from '@plateau/event-log'
import { closedError, Pulse } from '@plateau/event-log/adapter'
import type { TopicStore } from './topic-store.js'
import type { WakeBoard } from './wake-board.js'

const DEFAULT_BATCH_RECORDS = 256
const MAX_BATCH_BYTES = 4 * 1024 * 1024

/**
 * Reads a topic's partitions in turn, one batch at a time, holding nothing else. `caughtUp` resolves when the loop
 * comes back for more, so that by then the last batch has been dealt with, too; it rejects when the reader ends before.
 */
export class EmbeddedReader implements Reader {
  readonly caughtUp: Promise<void>
  readonly #store: TopicStore
  readonly #maxRecords: number
  readonly #stir = new Pulse()
  readonly #caughtUp = Promise.withResolvers<void>()
  readonly #unsubscribe: () => void
  readonly #goal: readonly PartitionRange[]
  /** Next offset by partition. */
  readonly #positions: number[]
  readonly #onClosed: () => void
  #turn = 0
  #isClosed = false

  constructor(options: ReaderOptions, store: TopicStore, wake: WakeBoard, onClosed: () => void) {
    this.#store = store
    this.#maxRecords = options.maxBatchRecords ?? DEFAULT_BATCH_RECORDS
    this.#onClosed = onClosed
    this.#goal = store.ranges()
    this.#positions = startPositions(options.from, this.#goal)
    this.caughtUp = this.#caughtUp.promise
    // Not everyone waits for it: its rejection alone must not end the process.
    this.caughtUp.catch(() => {})
    const changedElsewhere = () => store.database.changedElsewhere()
    this.#unsubscribe = wake.subscribe(store.topic.name, changedElsewhere, () => this.#stir.fire())
    this.#settleCaughtUp()
  }

  [Symbol.asyncIterator](): AsyncIterator<Batch, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        await this.close()
        return { done: true, value: undefined }
      },
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#unsubscribe()
    this.#stir.fire()
    this.#caughtUp.reject(closedError())
    this.#onClosed()
  }

  async #next(): Promise<IteratorResult<Batch, undefined>> {
    this.#settleCaughtUp()
    // Reading never waits: without this a long topic would keep everyone else from their turn.
    await nextTurn()
    while (!this.#isClosed) {
      const stirred = this.#stir.next()
      const batch = await this.#fetchInTurn()
      if (this.#isClosed) break
      if (batch !== undefined) return { done: false, value: batch }
      await stirred
    }
    return { done: true, value: undefined }
  }

  /** No partition waits for more than one batch of each other one. */
  async #fetchInTurn(): Promise<Batch | undefined> {
    const partitions = this.#positions.length
    for (let tried = 0; tried < partitions; tried++) {
      const partition = this.#turn++ % partitions
      const position = this.#positions[partition] ?? 0
      const { records, highWatermark } = await this.#store.database.whenFree(() =>
        this.#store.fetch(partition, position, this.#maxRecords, MAX_BATCH_BYTES),
      )
      const last = records.at(-1)
      // Nothing up to the end: what was there has been compacted away or has expired.
      this.#positions[partition] = last === undefined ? Math.max(position, highWatermark) : last.offset + 1
      if (last !== undefined) return { topic: this.#store.topic.name, partition, records, highWatermark }
    }
    this.#settleCaughtUp()
    return undefined
  }

  #settleCaughtUp(): void {
    if (this.#goal.every(({ partition, next }) => (this.#positions[partition] ?? 0) >= next)) this.#caughtUp.resolve()
  }
}

function startPositions(from: ReaderOptions['from'], ranges: readonly PartitionRange[]): number[] {
  return ranges.map(({ partition, earliest, next }) => {
    if (from === 'latest') return next
    const named = from === 'earliest' ? undefined : from.find((offset) => offset.partition === partition)
    return Math.max(named?.offset ?? earliest, earliest)
  })
}

/** Stands in for a reader that could not be opened: `reader` itself does not throw, its use does. */
export function failedReader(thrown: unknown): Reader {
  const failed = Promise.reject(thrown)
  failed.catch(() => {})
  return {
    caughtUp: failed,
    close: async () => {},
    [Symbol.asyncIterator]: () => ({ next: () => failed }),
  }
}
