/** Weights of positions as live traffic has them learned: the closed form's sums by bins of flatness and of draft gap. */
import { binCount, binnedWeights, binPlaces, binsOf, standardEdges, type WindowStatistics } from '@plateau/flatness'
import { learnBinWeights, type BinWeightSearch, type RidgeSums } from '@plateau/training'
import type { PositionValues } from './choose.js'
import type { ClosedFormSolver } from './closed-form-solver.js'
import type { SelectionWindow } from './selection-window.js'
import { calibrate } from './evaluate.js'
import { cpuSeconds } from './cpu-clock.js'

/** The sums of the rows in each bin, each row counting 1. */
export class BinnedSums {
  readonly sums: readonly RidgeSums[]
  readonly #solver: ClosedFormSolver

  constructor(solver: ClosedFormSolver) {
    this.#solver = solver
    this.sums = Array.from({ length: binCount(standardEdges) }, () => solver.empty())
  }

  /** `weights`: rows of weight 0 are left out, [rows.length]. */
  async add({ rows, statistics }: SelectionWindow, weights?: Float32Array): Promise<void> {
    const bins = binsOf(standardEdges, statistics)
    for (const bin of new Set(bins)) {
      const own = bins.map((other, r) => Number(other === bin && (weights?.[r] ?? 1) > 0))
      if (own.includes(1)) await this.#solver.add(this.sums[bin]!, rows, own)
    }
  }

  /**
   * The weights that the calibration windows like best, found by so many solutions: all equal where the search found
   * nothing beyond noise.
   */
  async learn(
    calibration: readonly SelectionWindow[],
    { evaluations, previous }: { readonly evaluations: number; readonly previous?: BinWeightSearch | undefined },
  ): Promise<BinWeightSearch> {
    await this.#solver.flush()
    const rows = calibration.map((window) => window.rows)
    return learnBinWeights({
      sums: this.sums,
      coordinates: binPlaces(standardEdges),
      windowLengths: rows.map(({ length }) => length),
      evaluations,
      previous,
      solve: (sums) => this.#solver.solve(sums),
      score: async (head) => {
        const score = this.#solver.scoreOf(head)
        return (await score(rows, await calibrate(score, calibration))).alpha
      },
    })
  }
}

/** What positions count, as a scorer would have it. */
export function weightsByBin(weights: readonly number[], statistics: WindowStatistics): Float32Array {
  return binnedWeights({ ...standardEdges, weights }, statistics)
}

const EVALUATIONS = 32

/** What is learned from all of an amount of training windows, once it is asked for. */
export class LearnedBins {
  #found: Promise<BinWeightSearch> | undefined
  #cpuSeconds = 0

  constructor(
    private readonly windows: readonly SelectionWindow[],
    private readonly calibration: readonly SelectionWindow[],
    private readonly solver: ClosedFormSolver,
    private readonly say: (line: string) => void,
  ) {}

  /** Of learning, once that is done: every arm that uses it would have had to. */
  get cpuSeconds(): number {
    return this.#cpuSeconds
  }

  learned(): Promise<BinWeightSearch> {
    this.#found ??= this.#learn()
    return this.#found
  }

  async areEqual(): Promise<boolean> {
    const { weights } = await this.learned()
    return weights.every((weight) => weight === 1)
  }

  async values(): Promise<PositionValues> {
    const { weights } = await this.learned()
    return ({ statistics }) => weightsByBin(weights, statistics)
  }

  async #learn(): Promise<BinWeightSearch> {
    const began = cpuSeconds()
    const sums = new BinnedSums(this.solver)
    for (const window of this.windows) await sums.add(window)
    const found = await sums.learn(this.calibration, { evaluations: EVALUATIONS })
    this.#cpuSeconds = cpuSeconds() - began
    const { gain, standardError } = found.tried
    this.say(`  learned ${found.weights.map((weight) => weight.toFixed(2)).join(' ')}`)
    this.say(`  tried ${gain.toFixed(5)}, standard error ${standardError.toFixed(5)}, ${found.evaluations} solutions`)
    return found
  }
}
