import { setImmediate as nextTurn } from 'node:timers/promises'
import { PlateauError } from '@plateau/contracts'
import type { Batch, BatchControl } from '@plateau/event-log'
import { Pulse } from '@plateau/event-log/adapter'
import type { OwnedPartition } from './group-store.js'
import type { Fetched } from './topic-store.js'

export interface LaneParts {
  readonly group: string
  /** Where to begin: the committed offset, or where a new group starts. */
  readonly start: () => Promise<number>
  readonly fetch: (fromOffset: number) => Promise<Fetched>
  readonly commit: (nextOffset: number) => Promise<boolean>
  readonly handler: (batch: Batch, control: BatchControl) => Promise<void>
  readonly isPaused: () => boolean
}

/**
 * One owned partition: reads and hands over, one batch at a time, until it is stopped or lost. Holds no record beyond
 * the batch in hand.
 *
 *   running ──stop──▶ stopping (finishes the batch in hand) ──▶ done
 *      └────lose────▶ lost (aborts the batch in hand) ────────▶ done
 */
export class PartitionLane {
  readonly owned: OwnedPartition
  /** Rejects with what the handler threw, unless it only says that the partition was lost. */
  readonly done: Promise<void>
  readonly #parts: LaneParts
  readonly #stir = new Pulse()
  readonly #lost = new AbortController()
  #isStopping = false

  constructor(owned: OwnedPartition, parts: LaneParts) {
    this.owned = owned
    this.#parts = parts
    this.done = this.#run().catch((thrown: unknown) => this.#judge(thrown))
  }

  get isActive(): boolean {
    return !this.#isStopping
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
    this.stop()
  }

  async #run(): Promise<void> {
    const { topic, partition } = this.owned
    let position = await this.#parts.start()
    while (!this.#isStopping) {
      const stirred = this.#stir.next()
      const { records, highWatermark } = await this.#parts.fetch(position)
      if (this.#isStopping) break
      const last = records.at(-1)
      if (last === undefined || this.#parts.isPaused()) {
        await stirred
        continue
      }
      await this.#parts.handler({ topic, partition, records, highWatermark }, this.#control())
      position = last.offset + 1
      // Reading never waits, so neither might the handler: heartbeats and everyone else need their turn.
      await nextTurn()
    }
  }

  /** Giving up a batch because its partition was taken away is what the handler is asked to do. */
  #judge(thrown: unknown): void {
    const saysLost = thrown instanceof PlateauError && thrown.code === 'PARTITION_LOST'
    const saysAborted = thrown instanceof Error && thrown.name === 'AbortError'
    if (!this.#lost.signal.aborted || !(saysLost || saysAborted)) throw thrown
  }

  #control(): BatchControl {
    return { signal: this.#lost.signal, commit: (nextOffset) => this.#commit(nextOffset) }
  }

  async #commit(nextOffset: number): Promise<void> {
    if (!this.#lost.signal.aborted && (await this.#parts.commit(nextOffset))) return
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
