import { Drift, DriftKind, encodeHeaders, topics } from '@plateau/contracts'
import type { NewRecord } from '@plateau/event-log'
import { FlatnessDrift, type DriftFinding } from '@plateau/rollout'
import type { Logger } from '@plateau/telemetry'
import { windowKey } from './decision.js'
import type { ScorerMetrics } from './metrics.js'
import { SOURCE, type Made } from './outgoing-records.js'

export interface FlatnessWatchOptions {
  /** Whose traffic it is, as records say it. */
  readonly lineage: string
  /** Which process measures it. */
  readonly server: string
  readonly metrics: Pick<ScorerMetrics, 'flatnessPsi'>
  readonly logger: Logger
}

/** A window, as far as it is watched. */
export interface WatchedWindow {
  readonly sampleId: string
  readonly windowIndex: number
  readonly domain: string
}

/** All traffic together. Traffic without a domain is in nothing else. */
const ALL = ''
/** Domains whose traffic is told apart; those that come later are one. */
const MOST_DOMAINS = 32
const OTHERS = 'other'

/**
 * Whether the traffic's flatness is distributed as it was, over all and within every domain, by the partitions that this
 * process scores. What it knows is memory: a new process begins with what it reads back (see `remember`).
 */
export class FlatnessWatch {
  readonly #options: FlatnessWatchOptions
  readonly #drifts = new Map<string, FlatnessDrift>([[ALL, new FlatnessDrift()]])
  readonly #remembered = new Set<number>()

  constructor(options: FlatnessWatchOptions) {
    this.#options = options
    options.metrics.flatnessPsi.observe(() => Array.from(this.#drifts, ([domain, { index }]) => [{ domain }, index]))
  }

  /** What was scored of a partition before this process took it up; nothing is said of it. A second time it is known. */
  remember(
    partition: number,
    windows: Iterable<Pick<WatchedWindow, 'domain'> & { readonly flatness: readonly number[] }>,
  ): void {
    if (this.#remembered.has(partition)) return
    this.#remembered.add(partition)
    for (const { domain, flatness } of windows) {
      // Anybody may have written it: the topic is public.
      if (flatness.every((value) => value > 0)) for (const [, drift] of this.#of(domain)) drift.observe(flatness)
    }
  }

  /** What a window that was just decided changes, as records: their ids are the window's, the same on every redelivery. */
  observe(window: WatchedWindow, flatness: Float32Array, { nowMs, traceparent }: Made): NewRecord[] {
    return this.#of(window.domain).flatMap(([domain, drift]) => {
      const finding = drift.observe(flatness)
      return finding === undefined ? [] : [this.#record(window, domain, finding, { nowMs, traceparent })]
    })
  }

  /** All traffic, and the domain's. */
  #of(domain: string): (readonly [string, FlatnessDrift])[] {
    const all = [ALL, this.#drifts.get(ALL)!] as const
    if (domain === ALL) return [all]
    const name = this.#drifts.has(domain) || this.#drifts.size <= MOST_DOMAINS ? domain : OTHERS
    const known = this.#drifts.get(name) ?? new FlatnessDrift()
    this.#drifts.set(name, known)
    return [all, [name, known]]
  }

  #record(window: WatchedWindow, domain: string, found: DriftFinding, { nowMs, traceparent }: Made): NewRecord {
    const { lineage, server, logger } = this.#options
    const { kind, reason, value, reference, threshold, count } = found
    const message: Drift = {
      schemaVersion: 1,
      lineage,
      kind: kind === 'flatness-shifted' ? DriftKind.DRIFT_KIND_FLATNESS_SHIFTED : DriftKind.DRIFT_KIND_FLATNESS_SETTLED,
      tenant: '',
      domain,
      reason: domain === ALL ? reason : `${reason}, in domain ${JSON.stringify(domain)}`,
      value,
      reference,
      threshold,
      count,
      sampleId: '',
      server,
      atMs: nowMs,
    }
    logger.info('flatness of the traffic', { kind, domain, index: value, positions: count })
    return {
      key: lineage,
      value: Drift.encode(message).finish(),
      headers: encodeHeaders({
        id: `flatness:${domain}:${windowKey(window)}`,
        source: SOURCE,
        type: topics.drift.messageType,
        timeMs: nowMs,
        subject: lineage,
        traceparent,
      }),
      timestampMs: nowMs,
    }
  }
}
