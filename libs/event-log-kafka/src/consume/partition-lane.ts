import { setImmediate as nextTurn } from 'node:timers/promises'
import { PlateauError } from '@plateau/contracts'
import type { Batch, BatchControl } from '@plateau/event-log'
import { Pulse } from '@plateau/event-log/adapter'
import type { TopicPartition } from './assign-sticky.js'
import type { FedRecords, PartitionFeed } from './partition-feed.js'

export interface LaneParts {
  readonly group: string
  readonly maxBatchRecords: number
  /** Opens the feed where the group stands; undefined when it was not wanted, or lost, before that was known. */
  readonly start: (onChange: () => void, isWanted: () => boolean) => Promise<PartitionFeed | undefined>
  /** False when the partition has another owner by now. */
  readonly commit: (nextOffset: number, isMine: () => boolean) => Promise<boolean>
  readonly handler: (batch: Batch, control: BatchControl) => Promise<void>
  readonly isPaused: () => boolean
  /** A batch was handed over, or finished. */
  readonly onAlive: () => void
}

/**
 * One owned partition: hands its records over, one batch at a time, until it is stopped or lost.
 *
 *   starting ──▶ running ──stop──▶ stopping (finishes the batch in hand) ──▶ done
 *      └────────────┴──────lose────▶ lost (aborts the batch in hand) ──────▶ done
 */
export class PartitionLane {
  readonly owned: TopicPartition
  /** Rejects with what the handler threw, unless it only says that the partition was lost. */
  readonly done: Promise<void>
  /** Resolves when it is done, or lost and so of no concern to the group any more. */
  readonly released: Promise<void>
  readonly #parts: LaneParts
  readonly #stir = new Pulse()
  readonly #lost = new AbortController()
  readonly #released = Promise.withResolvers<void>()
  #isStopping = false
  #hasStarted = false

  constructor(owned: TopicPartition, parts: LaneParts) {
    this.owned = owned
    this.#parts = parts
    this.released = this.#released.promise
    this.done = this.#run()
      .catch((thrown: unknown) => this.#judge(thrown))
      .finally(() => this.#released.resolve())
  }

  /** From where it begins is settled, and nothing has ended it. */
  get isActive(): boolean {
    return this.#hasStarted && !this.#isStopping
  }

  get wasLost(): boolean {
    return this.#lost.signal.aborted
  }

  /** There may be something to do: records came, or the consumer was resumed. */
  stir(): void {
    this.#stir.fire()
  }

  stop(): void {
    this.#isStopping = true
    this.stir()
  }

  lose(): void {
    this.#lost.abort(this.#lostError())
    this.#released.resolve()
    this.stop()
  }

  async #run(): Promise<void> {
    const feed = await this.#parts.start(
      () => this.stir(),
      () => !this.#isStopping,
    )
    if (feed === undefined) return
    this.#hasStarted = true
    try {
      await this.#handOver(feed)
    } finally {
      feed.close()
    }
  }

  async #handOver(feed: PartitionFeed): Promise<void> {
    const { topic, partition } = this.owned
    while (!this.#isStopping) {
      const stirred = this.#stir.next()
      const fed = this.#parts.isPaused() ? undefined : await feed.read(this.#parts.maxBatchRecords)
      if (fed === undefined) {
        if (!this.#isStopping) await stirred
        continue
      }
      await this.#resumed()
      if (this.#isStopping) break
      this.#parts.onAlive()
      await this.#parts.handler({ topic, partition, ...batchOf(fed) }, this.#control(fed))
      this.#parts.onAlive()
      // Records that are there already are read without waiting, so neither might the handler: heartbeats and everyone
      // else need their turn.
      await nextTurn()
    }
  }

  /** Paused while the batch was being read. */
  async #resumed(): Promise<void> {
    for (;;) {
      const stirred = this.#stir.next()
      if (this.#isStopping || !this.#parts.isPaused()) return
      await stirred
    }
  }

  /** Giving up a batch because its partition was taken away is what the handler is asked to do. */
  #judge(thrown: unknown): void {
    const saysLost = thrown instanceof PlateauError && thrown.code === 'PARTITION_LOST'
    const saysAborted = thrown instanceof Error && thrown.name === 'AbortError'
    if (!this.#lost.signal.aborted || !(saysLost || saysAborted)) throw thrown
  }

  #control(fed: FedRecords): BatchControl {
    const behindLast = (fed.records.at(-1)?.offset ?? 0) + 1
    return {
      signal: this.#lost.signal,
      // Behind the last record come the marks of its transaction, which nobody is handed: they count as dealt with.
      commit: (nextOffset) => this.#commit(nextOffset === behindLast ? fed.next : nextOffset),
    }
  }

  async #commit(nextOffset: number): Promise<void> {
    const isMine = () => !this.#lost.signal.aborted
    if (isMine() && (await this.#parts.commit(nextOffset, isMine))) return
    this.lose()
    throw this.#lostError()
  }

  #lostError(): PlateauError {
    const { topic, partition } = this.owned
    return new PlateauError(
      'PARTITION_LOST',
      `Group ${this.#parts.group} gave partition ${partition} of ${topic} to another member: nothing was committed.`,
      { facts: { group: this.#parts.group, topic, partition } },
    )
  }
}

function batchOf({ records, highWatermark }: FedRecords): Pick<Batch, 'records' | 'highWatermark'> {
  return { records, highWatermark }
}
