import type { DriftFinding } from './drift.js'

export interface AcceptanceDriftOptions {
  /** Fall that counts, in acceptance. Default .1. */
  readonly epsilon?: number
  /** Judged proposals that the short mean looks back on. Default 1,000. */
  readonly shortProposals?: number
  /** The same of the long one. Default 20,000. */
  readonly longProposals?: number
  /** Keys that are held; above it the one that was seen longest ago is forgotten. Default 256. */
  readonly maxKeys?: number
}

/**
 * Acceptance that falls, by key (a tenant's domain, say): exponential means of accepted / judged over a short and a long
 * time, fallen where short < long - epsilon (algorithm 1 of TIDE, arXiv 2602.05145, which starts training there). Proposals
 * are the units of time, so a key that is away forgets nothing.
 *
 *     steady ──short < long - epsilon──▶ fallen ──short >= long - epsilon / 2──▶ steady
 *
 * It recovers when the short mean has come back, and when the long one has followed it down.
 */
export class AcceptanceDrift {
  readonly #epsilon: number
  readonly #shortProposals: number
  readonly #longProposals: number
  readonly #maxKeys: number
  /** The one seen longest ago first. */
  readonly #keys = new Map<string, KeyState>()

  constructor(options: AcceptanceDriftOptions = {}) {
    const { epsilon = 0.1, shortProposals = 1_000, longProposals = 20_000, maxKeys = 256 } = options
    if (!(shortProposals >= 1 && shortProposals < longProposals)) {
      throw new RangeError(`a short mean over ${shortProposals} proposals is no shorter than one over ${longProposals}`)
    }
    this.#epsilon = epsilon
    this.#shortProposals = shortProposals
    this.#longProposals = longProposals
    this.#maxKeys = maxKeys
  }

  /** One response's proposals. A finding where that changed how its key does. */
  observe(key: string, accepted: number, judged: number): DriftFinding | undefined {
    if (judged === 0) return undefined
    const state = this.#touch(key)
    state.short.observe(accepted, judged, this.#shortProposals)
    state.long.observe(accepted, judged, this.#longProposals)
    // Before that the two are means of the same proposals.
    if (state.long.judged < 2 * this.#shortProposals) return undefined
    const fall = state.long.mean - state.short.mean
    if (state.isFallen ? fall > this.#epsilon / 2 : fall <= this.#epsilon) return undefined
    state.isFallen = !state.isFallen
    return this.#finding(key, state)
  }

  /** By key: both means, and how many judged proposals the long one is over. The one seen longest ago first. */
  means(): { readonly key: string; readonly short: number; readonly long: number; readonly judged: number }[] {
    return [...this.#keys].map(([key, { short, long }]) => ({
      key,
      short: short.mean,
      long: long.mean,
      judged: Math.round(long.judged),
    }))
  }

  #finding(key: string, { isFallen, short, long }: KeyState): DriftFinding {
    const count = Math.round(short.judged)
    const [shortMean, longMean] = [short.mean.toFixed(3), long.mean.toFixed(3)]
    const what = isFallen ? 'fell to' : 'is steady again at'
    return {
      kind: isFallen ? 'acceptance-fell' : 'acceptance-recovered',
      reason: `acceptance of ${key} ${what} ${shortMean} over ${count} proposals; over a long time it is ${longMean}`,
      value: short.mean,
      reference: long.mean,
      threshold: isFallen ? this.#epsilon : this.#epsilon / 2,
      count,
    }
  }

  #touch(key: string): KeyState {
    const state = this.#keys.get(key) ?? { short: new FadingRatio(), long: new FadingRatio(), isFallen: false }
    this.#keys.delete(key)
    this.#keys.set(key, state)
    if (this.#keys.size > this.#maxKeys) this.#keys.delete(this.#keys.keys().next().value!)
    return state
  }
}

interface KeyState {
  readonly short: FadingRatio
  readonly long: FadingRatio
  isFallen: boolean
}

/** Accepted / judged, where every judged proposal lets what was before fade by 1 / memory. */
class FadingRatio {
  judged = 0
  #accepted = 0

  get mean(): number {
    return this.#accepted / this.judged
  }

  observe(accepted: number, judged: number, memory: number): void {
    const fade = (1 - 1 / memory) ** judged
    this.judged = this.judged * fade + judged
    this.#accepted = this.#accepted * fade + accepted
  }
}
