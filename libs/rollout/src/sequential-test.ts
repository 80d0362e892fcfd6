import { DesignEffect } from './design-effect.js'
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
 * are each said with their rate at most, without any assumption on how positions depend on each other, where "mean" is that
 * of the conditional means (MeanSequence): of what these responses were like.
 *
 * What all traffic is like is another question, and a few responses with many positions say less of it. Where it is known
 * which response a position is of, the evidence needed is multiplied by the design effect d: a rate e becomes e^d. Wealth
 * grows as n difference^2 / (2 variance), so d times the variance takes d times the wealth. That is no bound but an estimate,
 * and on the safe side of the bound, because d is never below 1.
 */
export class SequentialTest {
  readonly #options: SequentialTestOptions
  readonly #differences = new MeanSequence(-1, 1)
  readonly #effect = new DesignEffect()
  #isGrouped = false

  constructor(options: SequentialTestOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#differences.count
  }

  get mean(): number {
    return this.#differences.mean
  }

  /** Of the mean, at this moment and as an estimate: no bound that holds at any time. */
  get standardError(): number {
    return Math.sqrt((this.#designEffect() * this.#differences.variance) / Math.max(1, this.#differences.count))
  }

  /** In [-1, 1]. `response`: which one the position is of; without, positions are taken as they come. */
  observe(difference: number, response?: string): void {
    this.#differences.observe(difference)
    if (response === undefined) return
    this.#effect.observe(difference, response)
    this.#isGrouped = true
  }

  verdict(): Verdict {
    const { falseRejection, falsePromotion } = this.#rates()
    const { margin } = this.#options
    if (this.#differences.isBelow(-margin, falseRejection)) return 'worse'
    return this.#differences.isAbove(-margin, falsePromotion) ? 'not-worse' : 'undecided'
  }

  evidence(): MeanEvidence {
    const { falseRejection, falsePromotion } = this.#rates()
    const { count, mean } = this.#differences
    const low = this.#differences.lowerBound(falsePromotion)
    return { count, mean, low, high: this.#differences.upperBound(falseRejection) }
  }

  #rates(): Pick<SequentialTestOptions, 'falseRejection' | 'falsePromotion'> {
    const effect = this.#designEffect()
    const { falseRejection, falsePromotion } = this.#options
    return { falseRejection: falseRejection ** effect, falsePromotion: falsePromotion ** effect }
  }

  #designEffect(): number {
    return this.#isGrouped ? this.#effect.value : 1
  }
}
