/** A score with its tie-break: pairs are ordered by score, then by lot. */
export interface RankedScore {
  /** Any number but NaN. */
  readonly score: number
  /** In [0, 1), different for almost any two windows: it makes equal scores rank like different ones. */
  readonly lot: number
  /** Above 0: how much of the share it takes, in windows or in tokens. Default 1. */
  readonly weight?: number
}

const NOTHING_PASSES: RankedScore = { score: Number.POSITIVE_INFINITY, lot: 1 }
const EVERYTHING_PASSES: RankedScore = { score: Number.NEGATIVE_INFINITY, lot: 0 }

/**
 * Exact quantiles over the most recent `capacity` scores, in two arrays: one in order of arrival, one sorted. Adding costs
 * a binary search and a move of at most `capacity` pairs; the first question after it a sum over them.
 */
export class SlidingQuantile {
  readonly capacity: number
  /** From #oldest on. */
  readonly #arrived: RankedScore[] = []
  #oldest = 0
  readonly #sorted: RankedScore[] = []
  /** [i]: weight of the i lowest. Undefined when something has changed. */
  #cumulative: Float64Array | undefined

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError(`capacity ${capacity} is not at least 1`)
    this.capacity = capacity
  }

  get size(): number {
    return this.#sorted.length
  }

  add(entry: RankedScore): void {
    if (Number.isNaN(entry.score)) throw new RangeError('a score is NaN')
    if (this.size === this.capacity) this.forgetOldest()
    this.#arrived.push(entry)
    this.#sorted.splice(this.#rankOf(entry), 0, entry)
    this.#cumulative = undefined
  }

  /** Does nothing when nothing is held. */
  forgetOldest(): void {
    if (this.size === 0) return
    const oldest = this.#arrived[this.#oldest++]!
    // Equal entries may differ in weight: this very one goes.
    this.#sorted.splice(this.#sorted.indexOf(oldest, this.#rankOf(oldest)), 1)
    this.#cumulative = undefined
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
    const cumulative = this.#weights()
    const meanWeight = cumulative[n]! / n
    // n + 1 gaps between and around n scores: a newcomer of mean weight falls into each with the same probability.
    const place = (1 - share) * (cumulative[n]! + meanWeight)
    const below = Math.max(0, atMost(cumulative, place))
    const weight = below < n ? cumulative[below + 1]! - cumulative[below]! : meanWeight
    const rank = below - 1 + Math.floor((place - cumulative[below]!) / weight + ticket)
    return rank < 0 ? EVERYTHING_PASSES : (this.#sorted[rank] ?? NOTHING_PASSES)
  }

  /**
   * The share of what is held and the newcomer that lies below the newcomer, in [0, 1); its own weight is split at
   * `ticket`, in [0, 1). Drawn from the distribution of what is held, with tickets as likely, it is as likely anywhere.
   */
  shareBelow(entry: RankedScore, ticket: number): number {
    const cumulative = this.#weights()
    const weight = weightOf(entry)
    return (cumulative[this.#rankOf(entry)]! + ticket * weight) / (cumulative[this.size]! + weight)
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

  #weights(): Float64Array {
    if (this.#cumulative !== undefined) return this.#cumulative
    const cumulative = new Float64Array(this.size + 1)
    for (let i = 0; i < this.size; i++) cumulative[i + 1] = cumulative[i]! + weightOf(this.#sorted[i]!)
    return (this.#cumulative = cumulative)
  }
}

export function isBelow(a: RankedScore, b: RankedScore): boolean {
  return a.score < b.score || (a.score === b.score && a.lot < b.lot)
}

function weightOf(entry: RankedScore): number {
  return entry.weight ?? 1
}

/** The last index of `rising` whose number is at most x; -1 when there is none. */
function atMost(rising: Float64Array, x: number): number {
  let low = 0
  let high = rising.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (rising[middle]! <= x) low = middle + 1
    else high = middle
  }
  return low - 1
}
