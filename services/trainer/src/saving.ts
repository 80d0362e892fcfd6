import type { CheckpointStore } from '@plateau/checkpoints'
import { topics } from '@plateau/contracts'
import type { EventLog, Lease } from '@plateau/event-log'
import type { ModelDescription } from '@plateau/model-files'
import type { Logger } from '@plateau/telemetry'
import { lagGroupOf, type LagGroupOptions } from './lag-group.js'
import type { TrainerMetrics } from './metrics.js'
import { within, worksNow } from './retry-later.js'
import { encodeSnapshot, SNAPSHOT_NAME, type Snapshot } from './snapshot.js'

export interface SavingParts {
  readonly kind: { readonly name: string }
  readonly model: ModelDescription
  readonly store: CheckpointStore
  readonly lease: Pick<Lease, 'epoch'>
  readonly log: EventLog
  readonly logger: Logger
  readonly metrics: Pick<TrainerMetrics, 'snapshotAge'>
  readonly clock: () => number
  /** As it is now. */
  readonly snapshot: () => Promise<Omit<Snapshot, 'kind' | 'targetFingerprint' | 'tokenizerHash'>>
}

export interface SavingOptions extends LagGroupOptions {
  /** Least time between two snapshots, unless one is asked for. */
  readonly snapshotMs: number
}

const LAG_REPORT_MS = 2000
/** A large state is saved less often: at most this share of the time goes into it. */
const MOST_SAVE_SHARE = 0.1

/** When the trainer's state is saved: as one file, replaced atomically, fenced by the lease's epoch. */
export class Saving {
  readonly #options: SavingOptions
  readonly #parts: SavingParts
  #savedAtMs: number
  #triedMs = Number.NEGATIVE_INFINITY
  #tookMs = 0
  #isNeeded = false

  constructor(options: SavingOptions, parts: SavingParts) {
    this.#options = options
    this.#parts = parts
    const { clock, metrics } = parts
    this.#savedAtMs = clock()
    metrics.snapshotAge.observe(() => [[{}, (clock() - this.#savedAtMs) / 1000]])
  }

  /** There is something new. */
  need(): void {
    this.#isNeeded = true
  }

  get isNeeded(): boolean {
    return this.#isNeeded
  }

  get isDue(): boolean {
    const waitedMs = this.#parts.clock() - Math.max(this.#savedAtMs, this.#triedMs)
    return this.#isNeeded && waitedMs >= Math.max(this.#options.snapshotMs, this.#tookMs / MOST_SAVE_SHARE)
  }

  /** Where the store is full or away it is still needed, and due again after a while. */
  async save(): Promise<void> {
    const { kind, model, store, lease, logger, clock } = this.#parts
    const { lineage } = this.#options
    const startedMs = clock()
    const { fingerprint: targetFingerprint, tokenizerHash } = model
    const snapshot = { kind: kind.name, targetFingerprint, tokenizerHash, ...(await this.#parts.snapshot()) }
    this.#triedMs = clock()
    const isSaved = await worksNow(logger, 'state not saved', () =>
      store.putState(lineage, SNAPSHOT_NAME, encodeSnapshot(snapshot), lease.epoch),
    )
    if (!isSaved) return
    this.#isNeeded = false
    this.#savedAtMs = clock()
    this.#tookMs = this.#savedAtMs - startedMs
    await this.#reportLag(snapshot)
  }

  close(): void {
    this.#parts.metrics.snapshotAge.observe(() => [])
  }

  /** Only to be seen from outside: we never start from these, and do not wait long for them. */
  async #reportLag({ offsets }: Pick<Snapshot, 'offsets'>): Promise<void> {
    const { logger, log } = this.#parts
    await worksNow(logger, 'lag not reported', () =>
      within(LAG_REPORT_MS, log.commit(lagGroupOf(this.#options), topics.trainingWindows.name, offsets)),
    )
  }
}
