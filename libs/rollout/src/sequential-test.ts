import { MeanSequence } from './mean-sequence.js'

export interface SequentialTestOptions {
  /** How much worse the candidate may be, in (-1, 1); below 0, how much better it has to be. */
  readonly margin: number
  /** Of saying worse, at any time, where the candidate is not; in (0, 1). */
  readonly falseRejection: number
  /** Of saying not-worse, at any time, where the candidate is worse; in (0, 1). */
  readonly falsePromotion: number
}

export type Verdict = 'worse' | 'not-worse' | 'undecided'

/** The running mean difference, and an interval that misses it, at any time, with the two rates together at most. */
export interface MeanEvidence {
  readonly count: number
  readonly mean: number
  readonly low: number
  readonly high: number
}

/**
 * Candidate minus incumbent at the same positions, as they come: is the candidate worse by more than the margin? Asked as
 * often as one likes. Worse where the running mean difference is -margin or more, and not-worse where it is -margin or less,
 * are each said with their rate at most. What "running mean" is where differences depend on each other: see MeanSequence.
 */
export class SequentialTest {
  readonly #options: SequentialTestOptions
  readonly #differences = new MeanSequence(-1, 1)

  constructor(options: SequentialTestOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#differences.count
  }

  get mean(): number {
    return this.#differences.mean
  }

  /** In [-1, 1]. */
  observe(difference: number): void {
    this.#differences.observe(difference)
  }

  verdict(): Verdict {
    const { margin, falseRejection, falsePromotion } = this.#options
    if (this.#differences.isBelow(-margin, falseRejection)) return 'worse'
    return this.#differences.isAbove(-margin, falsePromotion) ? 'not-worse' : 'undecided'
  }

  evidence(): MeanEvidence {
    const { count, mean } = this.#differences
    const low = this.#differences.lowerBound(this.#options.falsePromotion)
    return { count, mean, low, high: this.#differences.upperBound(this.#options.falseRejection) }
  }
}
