import type { Random } from '@plateau/speculation'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Outages } from './outages.js'
import { nextRequest, type PlannedRequest, type Tenant } from './requests.js'
import { sendRequest, type Ended, type Outcome } from './send-request.js'

export interface LoadOptions {
  readonly url: string
  readonly requestsPerSecond: number
  readonly durationMs: number
  readonly tenants: readonly Tenant[]
  readonly prompts: readonly string[]
  readonly random: Random
  readonly outages: Outages
  readonly signal: AbortSignal
}

/** More at once would measure this process; what cannot be sent then is counted as held back. */
const MOST_AT_ONCE = 256
/** Longer than the server's own limit for a request. */
const CLIENT_TIMEOUT_MS = 150_000
/** The first part of a run, whose times are not compared: drafts are still built, caches are empty. */
const WARM_UP_SHARE = 0.1

/** Times of one third of the run, microseconds. */
export interface Times {
  readonly firstPiece: RecordableHistogram
  readonly token: RecordableHistogram
}

export interface Failure {
  readonly kind: string
  readonly outcome: Outcome
  readonly status: number
  readonly detail: string
  readonly fromMs: number
  readonly untilMs: number
}

/**
 * An open loop: requests go out on time, whether the ones before were answered or not, so that a slow server is seen as
 * its users see it.
 */
export class Load {
  sent = 0
  heldBack = 0
  readonly outcomes = new Map<Outcome, number>()
  readonly kinds = new Map<string, number>()
  /** Refused with this status, among requests that were right. */
  readonly refusals = new Map<number, number>()
  /** What was neither answered nor cancelled by its client nor refused for its tenant's quota. */
  readonly failures: Failure[] = []
  readonly thirds: readonly Times[] = Array.from({ length: 3 }, () => ({
    firstPiece: createHistogram(),
    token: createHistogram(),
  }))
  readonly #options: LoadOptions
  readonly #inFlight = new Set<Promise<void>>()
  #startedMs = 0

  constructor(options: LoadOptions) {
    this.#options = options
  }

  get planned(): number {
    return Math.round((this.#options.requestsPerSecond * this.#options.durationMs) / 1000)
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** Resolves when every request of the run, or of its part before the signal, has ended. */
  async run(): Promise<void> {
    const { requestsPerSecond, tenants, prompts, random, signal } = this.#options
    this.#startedMs = Date.now()
    for (let i = 0; i < this.planned && !signal.aborted; i++) {
      const waitMs = this.#startedMs + (i * 1000) / requestsPerSecond - Date.now()
      if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => {})
      if (signal.aborted) break
      const planned = nextRequest(random, tenants, prompts, i)
      if (this.#inFlight.size >= MOST_AT_ONCE) {
        this.heldBack++
        continue
      }
      this.sent++
      const one = this.#send(planned).finally(() => this.#inFlight.delete(one))
      this.#inFlight.add(one)
    }
    await Promise.all(this.#inFlight)
  }

  async #send(planned: PlannedRequest): Promise<void> {
    const fromMs = Date.now()
    const ended = await sendRequest(this.#options.url, planned, CLIENT_TIMEOUT_MS)
    const untilMs = Date.now()
    count(this.outcomes, ended.outcome)
    count(this.kinds, planned.kind)
    if (ended.outcome === 'refused') count(this.refusals, ended.status)
    this.#time(ended, fromMs, untilMs)
    const isQuota = ended.status === 429
    if (ended.outcome === 'answered' || ended.outcome === 'cancelled' || isQuota) return
    const { outcome, status, detail } = ended
    this.failures.push({ kind: planned.kind, outcome, status, detail, fromMs, untilMs })
  }

  /** Requests that met an outage waited for it, not for the server. */
  #time({ firstPieceMs, tokenMs }: Ended, fromMs: number, untilMs: number): void {
    const { durationMs, outages } = this.#options
    const share = (fromMs - this.#startedMs) / durationMs
    const third = Math.floor((3 * (share - WARM_UP_SHARE)) / (1 - WARM_UP_SHARE))
    const times = this.thirds[third]
    if (times === undefined || outages.during(['serving', 'target-model'], fromMs, untilMs) !== undefined) return
    if (firstPieceMs !== undefined) times.firstPiece.record(microseconds(firstPieceMs))
    for (const ms of tokenMs) times.token.record(microseconds(ms))
  }
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** A histogram of Node's begins at 1. */
function microseconds(ms: number): number {
  return Math.max(1, Math.round(ms * 1000))
}
