/** A score with its tie-break: pairs are ordered by score, then by lot. */
export interface RankedScore {
  /** Any number but NaN. */
  readonly score: number
  /** In [0, 1), different for almost any two windows: it makes equal scores rank like different ones. */
  readonly lot: number
}

/**
 * Exact quantiles over the most recent `capacity` scores, in two arrays: one in order of arrival, one sorted. Adding costs
 * a binary search and a move of at most `capacity` pairs, far below what decoding the window cost.
 */
export class SlidingQuantile {
  readonly capacity: number
  readonly #arrived: RankedScore[] = []
  readonly #sorted: RankedScore[] = []
  #oldest = 0

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError(`capacity ${capacity} is not at least 1`)
    this.capacity = capacity
  }

  get size(): number {
    return this.#arrived.length
  }

  add(entry: RankedScore): void {
    if (Number.isNaN(entry.score)) throw new RangeError('a score is NaN')
    if (this.#arrived.length < this.capacity) {
      this.#arrived.push(entry)
    } else {
      this.#sorted.splice(this.#rankOf(this.#arrived[this.#oldest]!), 1)
      this.#arrived[this.#oldest] = entry
      this.#oldest = (this.#oldest + 1) % this.capacity
    }
    this.#sorted.splice(this.#rankOf(entry), 0, entry)
  }

  /**
   * The smallest score of the best `share` of what is held: a newcomer drawn from the same distribution is at least this
   * with probability `share`. Undefined when nothing is held.
   */
  threshold(share: number): RankedScore | undefined {
    const n = this.#sorted.length
    if (n === 0) return undefined
    // n + 1 gaps between and around n scores: a newcomer falls into each with the same probability.
    const rank = Math.round((1 - share) * (n + 1)) - 1
    return rank < 0 ? { score: Number.NEGATIVE_INFINITY, lot: 0 } : this.#sorted[Math.min(rank, n - 1)]
  }

  /** How many held entries lie below `entry`. */
  #rankOf(entry: RankedScore): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isBelow(this.#sorted[middle]!, entry)) low = middle + 1
      else high = middle
    }
    return low
  }
}

export function isBelow(a: RankedScore, b: RankedScore): boolean {
  return a.score < b.score || (a.score === b.score && a.lot < b.lot)
}
