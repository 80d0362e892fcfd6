/** A score with its tie-break: pairs are ordered by score, then by lot. */
export interface RankedScore {
  /** Any number but NaN. */
  readonly score: number
  /** In [0, 1), different for almost any two windows: it makes equal scores rank like different ones. */
  readonly lot: number
  /** Above 0: how much of the share it takes, in windows or in tokens. Default 1. */
  readonly weight?: number
}

export function isBelow(a: RankedScore, b: RankedScore): boolean {
  return a.score < b.score || (a.score === b.score && a.lot < b.lot)
}

export function weightOf(entry: RankedScore): number {
  return entry.weight ?? 1
}

/** Numbers of an entry: score, lot, weight. */
const STRIDE = 3

/** Entries from the lowest to the highest, as plain numbers: moving thousands of these up is cheap, of objects it is not. */
export class SortedScores {
  #numbers = new Float64Array(16 * STRIDE)
  #size = 0
  /** [i]: weight of the i lowest. Undefined when something has changed. */
  #cumulative: Float64Array | undefined

  get size(): number {
    return this.#size
  }

  /** Behind those that are equal to it, so that of equals the oldest stands first. */
  add(entry: RankedScore): void {
    const at = this.#first((score, lot) => isBelow(entry, { score, lot })) * STRIDE
    const end = this.#size++ * STRIDE
    if (end === this.#numbers.length) this.#grow()
    this.#numbers.copyWithin(at + STRIDE, at, end)
    this.#numbers.set([entry.score, entry.lot, weightOf(entry)], at)
    this.#cumulative = undefined
  }

  /** Of equals the one that was added first. */
  remove(entry: RankedScore): void {
    const at = this.rankOf(entry) * STRIDE
    this.#numbers.copyWithin(at, at + STRIDE, this.#size-- * STRIDE)
    this.#cumulative = undefined
  }

  at(rank: number): RankedScore {
    const [score, lot, weight] = this.#numbers.subarray(rank * STRIDE)
    return { score: score!, lot: lot!, weight: weight! }
  }

  /** How many entries lie below `entry`. */
  rankOf(entry: RankedScore): number {
    return this.#first((score, lot) => !isBelow({ score, lot }, entry))
  }

  /** [size + 1]: weight of the i lowest. */
  weights(): Float64Array {
    if (this.#cumulative !== undefined) return this.#cumulative
    const cumulative = new Float64Array(this.#size + 1)
    for (let i = 0; i < this.#size; i++) cumulative[i + 1] = cumulative[i]! + this.#numbers[i * STRIDE + 2]!
    return (this.#cumulative = cumulative)
  }

  /** The first rank at which something holds that holds from there on. */
  #first(holds: (score: number, lot: number) => boolean): number {
    let low = 0
    let high = this.#size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (holds(this.#numbers[middle * STRIDE]!, this.#numbers[middle * STRIDE + 1]!)) high = middle
      else low = middle + 1
    }
    return low
  }

  #grow(): void {
    const larger = new Float64Array(this.#numbers.length * 2)
    larger.set(this.#numbers)
    this.#numbers = larger
  }
}
