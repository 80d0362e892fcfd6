import { AcceptanceTest, type TrialArm } from './acceptance-test.js'
import { compared, shareOfEpoch, type ComparisonOptions } from './comparison.js'
import type { Evidence } from './evidence.js'
import type { Verdict } from './sequential-test.js'
import { TrafficSlices, type TrafficLabels } from './traffic-slices.js'

/** Acceptance of the requests that used this version or the other one, in epochs. */
export class AcceptanceComparison {
  readonly #options: Omit<ComparisonOptions, 'falsePromotion'>
  #epoch = 1
  #part: AcceptanceEpoch

  constructor(options: Omit<ComparisonOptions, 'falsePromotion'>) {
    this.#options = options
    this.#part = this.#begin()
  }

  /** Judged proposals of this version. */
  get count(): number {
    return this.#part.test.arm('candidate').judged
  }

  /** Responses, or short ones together, of this epoch. */
  units(arm: TrialArm): number {
    return this.#part.test.arm(arm).units
  }

  observe(arm: TrialArm, accepted: number, judged: number, labels: TrafficLabels): void {
    this.#part.test.observe(arm, accepted, judged)
    const [own, others] = arm === 'candidate' ? [1, 0] : [0, 1]
    this.#part.slices.add(labels, {
      positions: own * judged,
      value: own * accepted,
      otherPositions: others * judged,
      other: others * accepted,
    })
  }

  verdict(): Verdict {
    return this.#part.test.isWorse() ? 'worse' : 'undecided'
  }

  /** The next epoch begins; one in which this version had no proposals could say nothing and costs no share. */
  restart(): void {
    if (this.count > 0) this.#epoch++
    this.#part = this.#begin()
  }

  /** Undefined where one of the two has no proposals yet. */
  evidence(requests: number): Evidence | undefined {
    const { test, slices } = this.#part
    const [own, other] = [test.arm('candidate'), test.arm('incumbent')]
    if (own.judged === 0 || other.judged === 0) return undefined
    const { mean, low, high } = test.evidence()
    return {
      comparison: 'live-acceptance',
      positions: own.judged,
      ...compared(own.acceptance, other.acceptance),
      difference: mean,
      low,
      high,
      errorRate: 2 * this.#options.falseRejection * shareOfEpoch(this.#epoch),
      margin: this.#options.margin,
      requests,
      slices: slices.largest(),
    }
  }

  #begin(): AcceptanceEpoch {
    const { margin, falseRejection } = this.#options
    const rate = falseRejection * shareOfEpoch(this.#epoch)
    return { test: new AcceptanceTest({ margin, falseRejection: rate }), slices: new TrafficSlices() }
  }
}

interface AcceptanceEpoch {
  readonly test: AcceptanceTest
  readonly slices: TrafficSlices
}
