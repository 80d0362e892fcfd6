import { SortedScores, weightOf, type RankedScore } from './sorted-scores.js'

const NOTHING_PASSES: RankedScore = { score: Number.POSITIVE_INFINITY, lot: 1 }
const EVERYTHING_PASSES: RankedScore = { score: Number.NEGATIVE_INFINITY, lot: 0 }

/**
 * Exact quantiles over the most recent `capacity` scores: one list in order of arrival, one sorted. Adding costs a binary
 * search and a move of at most `capacity` entries; the first question after it a sum over them.
 */
export class SlidingQuantile {
  readonly capacity: number
  /** From #oldest on. */
  readonly #arrived: RankedScore[] = []
  #oldest = 0
  readonly #sorted = new SortedScores()

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError(`capacity ${capacity} is not at least 1`)
    this.capacity = capacity
  }

  get size(): number {
    return this.#sorted.size
  }

  add(entry: RankedScore): void {
    if (Number.isNaN(entry.score)) throw new RangeError('a score is NaN')
    if (this.size === this.capacity) this.forgetOldest()
    this.#arrived.push(entry)
    this.#sorted.add(entry)
  }

  /** Does nothing when nothing is held. */
  forgetOldest(): void {
    if (this.size === 0) return
    this.#sorted.remove(this.#arrived[this.#oldest++]!)
    // Moved down once in a while, so that forgetting costs the same however much is held.
    if (this.#oldest > this.size) {
      this.#arrived.splice(0, this.#oldest)
      this.#oldest = 0
    }
  }

  /**
   * What a newcomer has to reach: drawn from the same distribution as what is held, it does with probability `share`,
   * however little is held. A threshold that falls between two scores is rounded by `ticket`, in [0, 1): with tickets
   * that are as likely anywhere, as often to the upper one as it is near it; with .5, the default, to the nearest.
   * Undefined when nothing is held.
   */
  threshold(share: number, ticket = 0.5): RankedScore | undefined {
    const n = this.size
    if (n === 0) return undefined
    const weights = this.#sorted.weights()
    const meanWeight = weights[n]! / n
    // n + 1 gaps between and around n scores: a newcomer of mean weight falls into each with the same probability.
    const place = (1 - share) * (weights[n]! + meanWeight)
    const below = Math.max(0, lastAtMost(weights, place))
    const weight = below < n ? weights[below + 1]! - weights[below]! : meanWeight
    const rank = below - 1 + Math.floor((place - weights[below]!) / weight + ticket)
    if (rank < 0) return EVERYTHING_PASSES
    return rank < n ? this.#sorted.at(rank) : NOTHING_PASSES
  }

  /**
   * The share of what is held and the newcomer that lies below the newcomer, in [0, 1); its own weight is split at
   * `ticket`, in [0, 1). Drawn from the distribution of what is held, with tickets as likely, it is as likely anywhere.
   */
  shareBelow(entry: RankedScore, ticket: number): number {
    const weights = this.#sorted.weights()
    const weight = weightOf(entry)
    return (weights[this.#sorted.rankOf(entry)]! + ticket * weight) / (weights[this.size]! + weight)
  }
}

/** The last index of `rising` whose number is at most x; -1 when there is none. */
function lastAtMost(rising: Float64Array, x: number): number {
  let low = 0
  let high = rising.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (rising[middle]! <= x) low = middle + 1
    else high = middle
  }
  return low - 1
}
