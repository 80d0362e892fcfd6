import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog, PartitionLag } from '@plateau/event-log'
import { OldestRecord } from './oldest-record.js'
import type { Logger, Metrics } from '@plateau/telemetry'

const LOOK_MS = 5000

export interface LagWatchOptions {
  readonly log: EventLog
  readonly group: string
  readonly topic: string
  readonly metrics: Metrics
  readonly logger: Logger
  /** Ends it. */
  readonly signal: AbortSignal
  readonly everyMs?: number
  /** Monotonic milliseconds. */
  readonly nowMs?: () => number
  /** Told whenever the log answered: for a consumer that keeps its own offsets and is in no group. */
  readonly onAnswer?: () => void
}

/**
 * How far a group is behind, from the offsets in the log: what a consumer says of itself ends with the consumer. Records
 * that expired before the group had read them are lost, and are counted apart.
 *
 * Resolves after the first look, which should come before the group goes on: its first commit hides what had expired.
 * Every member of a group reports the whole group: aggregate with max, not with sum.
 */
export async function watchLag(options: LagWatchOptions): Promise<void> {
  const { group, topic, metrics, logger, signal, everyMs = LOOK_MS, nowMs = () => performance.now() } = options
  const { readLag } = await import('@plateau/event-log')
  const lag = metrics.gauge('plateau_consumer_lag_records')
  const expired = metrics.counter('plateau_consumer_expired_records_total')
  const age = metrics.gauge('plateau_consumer_oldest_record_age_seconds')
  const ledger = new ExpiredLedger()
  const oldest = new Map<number, OldestRecord>()
  const look = async (): Promise<void> => {
    try {
      for (const partition of await readLag(options.log, group, topic)) {
        const named = { group, topic, partition: String(partition.partition) }
        lag.set(named, partition.records)
        const waiting = oldest.get(partition.partition) ?? new OldestRecord()
        oldest.set(partition.partition, waiting)
        age.set(named, waiting.look(partition, nowMs()) / 1000)
        const lost = ledger.take(partition)
        expired.add(named, lost)
        if (lost > 0) logger.warn('records expired before they were read', { ...named, records: lost })
      }
      options.onAnswer?.()
    } catch (error) {
      // The numbers stay as they were; the consumer itself notices when the log is away for good.
      if (!signal.aborted) logger.debug('lag not read', { group, topic, error })
    }
  }
  await look()
  void (async () => {
    while (!signal.aborted) {
      await sleep(everyMs, undefined, { signal, ref: false }).catch(() => {})
      if (!signal.aborted) await look()
    }
  })()
}

/** Counts each expired record once, however often it is looked at before the group goes on. */
class ExpiredLedger {
  /** By partition, the offset up to which they are counted. */
  readonly #countedTo = new Map<number, number>()

  take({ partition, expired, earliest }: PartitionLag): number {
    const uncounted = earliest - (this.#countedTo.get(partition) ?? 0)
    this.#countedTo.set(partition, earliest)
    return Math.min(expired, Math.max(0, uncounted))
  }
}
