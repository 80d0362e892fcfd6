import { compared, shareOfEpoch, type ComparisonOptions } from './comparison.js'
import type { Evidence } from './evidence.js'
import { SequentialTest, type Verdict } from './sequential-test.js'
import { TrafficSlices, type PairLabels } from './traffic-slices.js'

/** Positions that are taken for a response's where it is not said. */
const USUAL_RESPONSE = 64

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

  /** More likely worse than not: the difference is below the margin by more than its standard error. */
  get isProbablyWorse(): boolean {
    const { mean, standardError } = this.#part.test
    return mean + standardError < -this.#options.margin
  }

  observe(value: number, other: number, labels: PairLabels): void {
    const part = this.#part
    part.test.observe(value - other, labels.sampleId ?? `${Math.floor(part.test.count / USUAL_RESPONSE)}`)
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
