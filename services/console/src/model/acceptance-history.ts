import { Buckets, type Slot } from './buckets.js'
import type { Counts } from './counts.js'

/** What stands for proposals that are no draft's: plain decoding, and copies from prompt and response. */
export const PLAIN = '0'
export const LOOKUP = 'prompt-lookup'

export const HISTORY_MS = 24 * 3_600_000
const FINE_MS = 5_000
const FINE_BUCKETS = 240
const MINUTE_MS = 60_000

export const isDraft = (name: string): boolean => name !== PLAIN && name !== LOOKUP

export interface AcceptanceShare {
  readonly draftVersion: string
  readonly tenant: string
  readonly domain: string
}

/**
 * Acceptance of one lineage over time: by draft version in steps of 5 s for 20 minutes and of a minute for a day, by tenant and
 * by domain (drafts only) in minutes.
 */
export class AcceptanceHistory {
  readonly #fine = new Buckets(FINE_MS, FINE_BUCKETS)
  readonly #minutes = new Buckets(MINUTE_MS, HISTORY_MS / MINUTE_MS)
  readonly #tenants = new Buckets(MINUTE_MS, HISTORY_MS / MINUTE_MS)
  readonly #domains = new Buckets(MINUTE_MS, HISTORY_MS / MINUTE_MS)

  add(atMs: number, { draftVersion, tenant, domain }: AcceptanceShare, counts: Counts): void {
    this.#fine.add(atMs, draftVersion, counts)
    this.#minutes.add(atMs, draftVersion, counts)
    if (!isDraft(draftVersion)) return
    this.#tenants.add(atMs, tenant, counts)
    this.#domains.add(atMs, domain, counts)
  }

  /** In steps of `stepMs`, a multiple of 5 s within the last 20 minutes and of a minute before. */
  series(wanted: (version: string) => boolean, fromMs: number, toMs: number, stepMs: number): Slot[] {
    const buckets = stepMs < MINUTE_MS ? this.#fine : this.#minutes
    return buckets.series(wanted, fromMs, toMs, stepMs)
  }

  /** By `of`, over whole minutes, the most traffic first. */
  totals(of: 'version' | 'tenant' | 'domain', fromMs: number, toMs: number): [string, Counts][] {
    const buckets = { version: this.#minutes, tenant: this.#tenants, domain: this.#domains }[of]
    return buckets.totals(fromMs, toMs)
  }

  oldestMs(): number | undefined {
    return this.#minutes.oldestMs()
  }
}
