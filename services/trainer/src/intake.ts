import { PlateauError } from '@plateau/contracts'
import type { Batch, PartitionOffset } from '@plateau/event-log'
import type { WindowExpectations } from '@plateau/inference'
import type { Poison } from './dead-letters.js'
import type { TrainerMetrics } from './metrics.js'
import { RecentIds } from './recent-ids.js'
import type { Snapshot } from './snapshot.js'
import type { Traffic } from './traffic.js'
import { acceptOfTraffic, type AcceptedRecord } from './training-record.js'

export interface IntakeParts {
  readonly expected: WindowExpectations
  /** What the lineage learns from; the rest is passed over. */
  readonly traffic: Traffic
  readonly metrics: TrainerMetrics
  /** Takes an accepted window, each one once. */
  readonly use: (window: AcceptedRecord) => void
  /** Resolves when every one of them has left a trace. */
  readonly bury: (poison: readonly Poison[]) => Promise<void>
}

const RECENT_IDS = 8192

/** What of the topic has been consumed, and each window of it once: what a producer repeats is known by its ce_id. */
export class Intake {
  readonly #parts: IntakeParts
  readonly #offsets: Map<number, number>
  readonly #ids = new Map<number, RecentIds>()
  readonly #windows: Record<string, number>
  #policy: string
  #newestWindowAtMs: number | undefined

  constructor(parts: IntakeParts, saved: Snapshot | undefined) {
    this.#parts = parts
    this.#offsets = new Map(saved?.offsets.map(({ partition, offset }) => [partition, offset]))
    for (const [partition, ids] of Object.entries(saved?.recentIds ?? {})) {
      this.#ids.set(Number(partition), new RecentIds(RECENT_IDS, ids))
    }
    this.#windows = { ...saved?.windows }
    this.#policy = saved?.policy ?? ''
  }

  async take({ partition, records }: Batch): Promise<void> {
    const { expected, traffic, metrics, bury } = this.#parts
    const poison: Poison[] = []
    for (const record of records) {
      try {
        const window = acceptOfTraffic(record, expected, traffic)
        if (window === undefined) metrics.otherTraffic.add({})
        else this.#consume(window)
      } catch (error) {
        if (!(error instanceof PlateauError)) throw error
        if (error.code === 'WINDOW_WITHOUT_FEATURES') metrics.unusable.add({ reason: error.code })
        else poison.push({ record, error })
      }
    }
    // Before the offset moves on: a record is never dropped without a trace.
    await bury(poison)
    this.#offsets.set(partition, records.at(-1)!.offset + 1)
  }

  /** Next offset to consume, per partition. */
  get offsets(): PartitionOffset[] {
    return [...this.#offsets].map(([partition, offset]) => ({ partition, offset }))
  }

  /** Over the lineage's life, by "<arm>/<decision>". */
  get windows(): Readonly<Record<string, number>> {
    return this.#windows
  }

  /** When the newest window of this process was captured, milliseconds since 1970; undefined before the first. */
  get newestWindowAtMs(): number | undefined {
    return this.#newestWindowAtMs
  }

  /** The selection policy of the newest window that names one. */
  get policy(): string {
    return this.#policy
  }

  /** All that a later process needs. */
  get state(): Pick<Snapshot, 'offsets' | 'recentIds' | 'windows' | 'policy'> {
    const recentIds = Object.fromEntries([...this.#ids].map(([partition, ids]) => [partition, ids.values()]))
    return { offsets: this.offsets, recentIds, windows: this.#windows, policy: this.#policy }
  }

  #consume(window: AcceptedRecord): void {
    const { metrics, use } = this.#parts
    const { partition } = window.place
    const ids = this.#ids.get(partition) ?? new RecentIds(RECENT_IDS)
    this.#ids.set(partition, ids)
    if (!ids.add(window.id)) return metrics.duplicates.add({})
    const decision = window.keep ? 'keep' : 'drop'
    metrics.windows.add({ arm: window.arm, decision })
    const key = `${window.arm}/${decision}`
    this.#windows[key] = (this.#windows[key] ?? 0) + 1
    this.#newestWindowAtMs = Math.max(this.#newestWindowAtMs ?? 0, window.capturedAtMs)
    if (window.policy !== '') this.#policy = window.policy
    use(window)
  }
}
