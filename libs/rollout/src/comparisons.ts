import { AcceptanceTest, type TrialArm } from './acceptance-test.js'
import { acceptanceLength, type Evidence } from './evidence.js'
import { SequentialTest, type Verdict } from './sequential-test.js'
import { TrafficSlices, type TrafficLabels } from './traffic-slices.js'

/** Rates of one comparison over all its epochs. */
export interface ComparisonOptions {
  readonly margin: number
  readonly falseRejection: number
  readonly falsePromotion: number
}

/** Share of a rate that epoch k = 1, 2, ... may use: 6 / (pi k)^2, which adds up to 1 however many epochs there are. */
export function shareOfEpoch(epoch: number): number {
  return 6 / (Math.PI * epoch) ** 2
}

/** Alpha of this version and the other one at the same positions, in epochs that each begin anew. */
export class PairComparison {
  readonly #name: 'windows' | 'live-pairs'
  readonly #options: ComparisonOptions
  #epoch = 1
  #part: PairEpoch

  constructor(name: 'windows' | 'live-pairs', options: ComparisonOptions) {
    this.#name = name
    this.#options = options
    this.#part = this.#begin()
  }

  get count(): number {
    return this.#part.test.count
  }

  get mean(): number {
    return this.#part.test.mean
  }

  observe(value: number, other: number, labels: TrafficLabels): void {
    const part = this.#part
    part.test.observe(value - other)
    part.value += value
    part.other += other
    part.slices.add(labels, { positions: 1, value, otherPositions: 1, other })
  }

  verdict(): Verdict {
    return this.#part.test.verdict()
  }

  /** The next epoch begins; one in which nothing was observed goes on. */
  restart(): void {
    if (this.count === 0) return
    this.#epoch++
    this.#part = this.#begin()
  }

  /** Of this epoch; undefined where nothing was compared in it. */
  evidence(requests: number): Evidence | undefined {
    const { test, value, other, slices } = this.#part
    if (test.count === 0) return undefined
    const { count, mean, low, high } = test.evidence()
    const { margin, falseRejection, falsePromotion } = this.#options
    return {
      comparison: this.#name,
      positions: count,
      ...compared(value / count, other / count),
      difference: mean,
      low,
      high,
      errorRate: (falseRejection + falsePromotion) * shareOfEpoch(this.#epoch),
      margin,
      requests,
      slices: slices.largest(),
    }
  }

  #begin(): PairEpoch {
    const { margin, falseRejection, falsePromotion } = this.#options
    const share = shareOfEpoch(this.#epoch)
    const rates = { falseRejection: falseRejection * share, falsePromotion: falsePromotion * share }
    return { test: new SequentialTest({ margin, ...rates }), slices: new TrafficSlices(), value: 0, other: 0 }
  }
}

interface PairEpoch {
  readonly test: SequentialTest
  readonly slices: TrafficSlices
  value: number
  other: number
}

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

  restart(): void {
    if (this.count === 0) return
    this.#epoch++
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

function compared(
  value: number,
  otherValue: number,
): Pick<Evidence, 'value' | 'otherValue' | 'acceptanceLength' | 'otherAcceptanceLength'> {
  const lengths = { acceptanceLength: acceptanceLength(value), otherAcceptanceLength: acceptanceLength(otherValue) }
  return { value, otherValue, ...lengths }
}
