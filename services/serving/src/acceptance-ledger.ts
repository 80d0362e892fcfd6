import { type Acceptance } from '@plateau/contracts'
import type { BoundedLabels } from './bounded-labels.js'
import type { ServingMetrics } from './serving-metrics.js'
import type { Round } from './response.js'

/** Copies from prompt and response are counted beside the drafts, as a version of this name. */
export const LOOKUP_VERSION = 'prompt-lookup'
/** What is no version of a draft, and so never outdated. */
const KEPT = new Set(['0', LOOKUP_VERSION])

/** Whose round it was. Version "0" = no draft. */
export interface Share {
  readonly draftVersion: string
  readonly tenant: string
  readonly domain: string
}

/** Counters of one interval; the fields of an Acceptance record that are summed. */
export type Counts = Omit<
  Acceptance,
  'schemaVersion' | 'server' | 'lineage' | 'draftVersion' | 'tenant' | 'domain' | 'fromMs' | 'toMs'
>

export interface LedgerEntry extends Share {
  readonly counts: Counts
}

export interface LedgerOptions {
  readonly metrics: ServingMetrics
  readonly tenants: BoundedLabels
  readonly domains: BoundedLabels
  /** Versions whose series and totals are kept; older ones are forgotten. */
  readonly maxVersions: number
}

/** Every round and every finished request, for /metrics (since the start) and for the acceptance topic (by interval). */
export class AcceptanceLedger {
  readonly #options: LedgerOptions
  readonly #totals = new Map<string, Counts>()
  #interval = new Map<string, LedgerEntry>()

  constructor(options: LedgerOptions) {
    this.#options = options
  }

  /** The share under names that are bounded in number. */
  share(draftVersion: string, tenant: string, domain: string): Share {
    return { draftVersion, tenant: this.#options.tenants.of(tenant), domain: this.#options.domains.of(domain) }
  }

  round(share: Share, round: Round): void {
    const added = countsOf(round)
    const proposer = round.source === 'lookup' ? { ...share, draftVersion: LOOKUP_VERSION } : share
    this.#add(proposer, added)
    this.#count({ draft_version: proposer.draftVersion, tenant: share.tenant }, added)
  }

  finished(share: Share, failed: boolean): void {
    this.#add(share, { ...emptyCounts(), requestsFinished: failed ? 0 : 1, requestsFailed: failed ? 1 : 0 })
  }

  /** What was counted since the last call. */
  takeInterval(): LedgerEntry[] {
    const entries = [...this.#interval.values()]
    this.#interval = new Map()
    return entries
  }

  /** Since the start, by version, oldest first. */
  totals(): ReadonlyMap<string, Counts> {
    return this.#totals
  }

  #add(share: Share, added: Counts): void {
    const present = this.#interval.get(keyOf(share))?.counts
    this.#interval.set(keyOf(share), { ...share, counts: present === undefined ? added : addCounts(present, added) })
    const total = this.#totals.get(share.draftVersion)
    this.#totals.set(share.draftVersion, total === undefined ? added : addCounts(total, added))
    if (this.#totals.size > this.#options.maxVersions) this.#forgetOldest()
  }

  #count(labels: { draft_version: string; tenant: string }, added: Counts): void {
    const { metrics } = this.#options
    metrics.generatedTokens.add(labels, added.numEmittedTokens)
    if (added.numDrafts === 0) return
    metrics.drafts.add(labels, added.numDrafts)
    metrics.draftTokens.add(labels, added.numDraftTokens)
    metrics.acceptedTokens.add(labels, added.numAcceptedTokens)
    metrics.alphaSum.add(labels, added.alphaSum)
    metrics.alphaPositions.add(labels, added.alphaPositions)
    for (const [position, accepted] of added.numAcceptedTokensPerPos.entries()) {
      metrics.acceptedPerPosition.add({ draft_version: labels.draft_version, position: String(position) }, accepted)
    }
  }

  #forgetOldest(): void {
    const oldest = [...this.#totals.keys()].filter((version) => !KEPT.has(version)).toSorted(byNumber)[0]
    if (oldest === undefined) return
    this.#totals.delete(oldest)
    const { metrics } = this.#options
    const match = { draft_version: oldest }
    for (const counter of [metrics.drafts, metrics.draftTokens, metrics.acceptedTokens, metrics.alphaSum])
      counter.remove(match)
    metrics.alphaPositions.remove(match)
    metrics.generatedTokens.remove(match)
    metrics.acceptedPerPosition.remove(match)
  }
}

function countsOf(round: Round): Counts {
  const judged = round.alpha.filter((alpha) => Number.isFinite(alpha))
  return {
    ...emptyCounts(),
    numDrafts: round.proposed > 0 ? 1 : 0,
    numDraftTokens: round.proposed,
    numAcceptedTokens: round.accepted,
    numAcceptedTokensPerPos: Array.from({ length: round.proposed }, (_, i) => (i < round.accepted ? 1 : 0)),
    numEmittedTokens: round.tokens.length,
    alphaSum: judged.reduce((sum, alpha) => sum + alpha, 0),
    alphaPositions: judged.length,
  }
}

function emptyCounts(): Counts {
  return {
    numDrafts: 0,
    numDraftTokens: 0,
    numAcceptedTokens: 0,
    numAcceptedTokensPerPos: [],
    numEmittedTokens: 0,
    alphaSum: 0,
    alphaPositions: 0,
    requestsFinished: 0,
    requestsFailed: 0,
  }
}

function addCounts(a: Counts, b: Counts): Counts {
  const length = Math.max(a.numAcceptedTokensPerPos.length, b.numAcceptedTokensPerPos.length)
  return {
    numDrafts: a.numDrafts + b.numDrafts,
    numDraftTokens: a.numDraftTokens + b.numDraftTokens,
    numAcceptedTokens: a.numAcceptedTokens + b.numAcceptedTokens,
    numAcceptedTokensPerPos: Array.from(
      { length },
      (_, i) => (a.numAcceptedTokensPerPos[i] ?? 0) + (b.numAcceptedTokensPerPos[i] ?? 0),
    ),
    numEmittedTokens: a.numEmittedTokens + b.numEmittedTokens,
    alphaSum: a.alphaSum + b.alphaSum,
    alphaPositions: a.alphaPositions + b.alphaPositions,
    requestsFinished: a.requestsFinished + b.requestsFinished,
    requestsFailed: a.requestsFailed + b.requestsFailed,
  }
}

function keyOf({ draftVersion, tenant, domain }: Share): string {
  return JSON.stringify([draftVersion, tenant, domain])
}

function byNumber(a: string, b: string): number {
  return Number(a) - Number(b)
}
