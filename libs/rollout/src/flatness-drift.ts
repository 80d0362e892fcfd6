import type { DriftFinding } from './drift.js'
import { populationStability } from './population-stability.js'

export interface FlatnessDriftOptions {
  /** Positions that the recent histogram looks back on; half of them are the least to judge by. Default 4,000. */
  readonly fastPositions?: number
  /** Positions that the reference looks back on. Default 40,000. */
  readonly slowPositions?: number
}

/** Population stability index above which the traffic is another, and below which it is settled again. */
const SHIFTED = 0.25
const SETTLED = 0.1
/** Bin b holds flatness in (2^(-(b + 1) / 2), 2^(-b / 2)]: half octaves, octaves of the effective number of tokens. */
const BINS = 20

/**
 * Whether the distribution of flatness, which needs no labels, is what it was: exponential windows of a fast and a slow
 * memory, compared by the population stability index.
 *
 *     settled ──index >= .25──▶ shifted ──index <= .1──▶ settled
 *
 * It settles when the old traffic comes back, and when the slow window has followed to the new one.
 */
export class FlatnessDrift {
  readonly #fast: FadingHistogram
  readonly #slow: FadingHistogram
  readonly #leastPositions: number
  #isShifted = false

  constructor({ fastPositions = 4_000, slowPositions = 40_000 }: FlatnessDriftOptions = {}) {
    if (!(fastPositions >= 1 && fastPositions < slowPositions)) {
      throw new RangeError(
        `a fast window of ${fastPositions} positions is no shorter than a slow one of ${slowPositions}`,
      )
    }
    this.#fast = new FadingHistogram(fastPositions)
    this.#slow = new FadingHistogram(slowPositions)
    this.#leastPositions = fastPositions / 2
  }

  get isShifted(): boolean {
    return this.#isShifted
  }

  /** 0 while little was observed. */
  get index(): number {
    if (this.#fast.count < this.#leastPositions) return 0
    return populationStability(this.#slow.bins, this.#fast.bins)
  }

  /** Flatness, in (0, 1], of a window's positions. A finding where that changed what the traffic is. */
  observe(flatness: ArrayLike<number>): DriftFinding | undefined {
    this.#fast.add(flatness)
    this.#slow.add(flatness)
    const { index } = this
    if (this.#isShifted ? index > SETTLED : index < SHIFTED) return undefined
    this.#isShifted = !this.#isShifted
    const count = Math.round(this.#fast.count)
    const what = this.#isShifted ? 'is not what it was' : 'is settled'
    return {
      kind: this.#isShifted ? 'flatness-shifted' : 'flatness-settled',
      reason: `the distribution of flatness ${what}: population stability index ${index.toFixed(3)} over ${count} positions`,
      value: index,
      reference: 0,
      threshold: this.#isShifted ? SHIFTED : SETTLED,
      count,
    }
  }
}

/** Counts that fade by 1 / memory with each position. */
class FadingHistogram {
  readonly bins = new Float64Array(BINS)
  readonly #memory: number

  constructor(memory: number) {
    this.#memory = memory
  }

  get count(): number {
    return this.bins.reduce((sum, one) => sum + one, 0)
  }

  add(flatness: ArrayLike<number>): void {
    const fade = (1 - 1 / this.#memory) ** flatness.length
    for (let b = 0; b < BINS; b++) this.bins[b]! *= fade
    for (let i = 0; i < flatness.length; i++) this.bins[binOf(flatness[i]!)]!++
  }
}

function binOf(flatness: number): number {
  if (!(flatness > 0)) throw new RangeError(`a flatness of ${flatness} is not above 0`)
  return Math.min(BINS - 1, Math.max(0, Math.floor(-2 * Math.log2(flatness))))
}
