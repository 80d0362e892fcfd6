/** What keeps part of a stream for the closed form, window by window. */
import { hashToUnit, lotOfPosition, selectionPolicy, WindowSelector } from '@plateau/flatness'
import { mergeSums, type BinWeightSearch, type RidgeSums } from '@plateau/training'
import type { ArmName } from './arm-result.js'
import type { ClosedFormSolver } from './closed-form-solver.js'
import type { SelectionWindow } from './selection-window.js'
import { BinnedSums, weightsByBin } from './learned-bins.js'

export type OnlineArm = Pick<ArmName, 'selector' | 'unit' | 'keep' | 'seed'>

export interface StreamLearner {
  /** What each row of the next window counts, [rows.length], 0 for one that is dropped; undefined: all are. */
  select(window: SelectionWindow): Promise<Float32Array | undefined>
  /** Takes what was selected. */
  add(window: SelectionWindow, weights: Float32Array): Promise<void>
  /** Of all that was taken. Rows may wait: solving flushes them. */
  total(): Promise<RidgeSums>
}

export function streamLearner(
  arm: OnlineArm,
  solver: ClosedFormSolver,
  calibration: readonly SelectionWindow[],
): StreamLearner {
  return arm.selector === 'learned' ? new LearningLearner(arm, solver, calibration) : new RuleLearner(arm, solver)
}

/** By a fixed rule, as the scorer applies it. */
class RuleLearner implements StreamLearner {
  readonly #selector: WindowSelector
  readonly #seed: number
  readonly #solver: ClosedFormSolver
  readonly #sums: RidgeSums

  constructor({ selector, unit, keep, seed }: OnlineArm, solver: ClosedFormSolver) {
    const policy = selectionPolicy({
      strategy: selector === 'full' ? 'none' : selector,
      keep,
      unit: unit === 'token' ? 'token' : 'window',
      budget: 'tokens',
      closedFormWeight: 'uniform',
    })
    this.#selector = new WindowSelector(policy)
    this.#seed = seed
    this.#solver = solver
    this.#sums = solver.empty()
  }

  async select({ statistics, sampleId, rows }: SelectionWindow): Promise<Float32Array | undefined> {
    const lot = seedLot(this.#seed, sampleId)
    const { keep, gradientWeights } = this.#selector.decide({ ...statistics, lot }, 'selected')
    return keep ? (gradientWeights ?? new Float32Array(rows.length).fill(1)) : undefined
  }

  add(window: SelectionWindow, weights: Float32Array): Promise<void> {
    return this.#solver.add(this.#sums, window.rows, weights)
  }

  async total(): Promise<RidgeSums> {
    return this.#sums
  }
}

/** Weights are learned anew when so many positions have arrived; until the first time everything is kept. */
const LEARN_AT = [6000, 20_000]
const EVALUATIONS = 16
/** Recent positions that the budget is a share of. */
const RECENT = 4000

/**
 * Keeps the positions of the bins whose learned weight is highest. What is dropped is not in the sums that the next
 * weights are learned from: a bin that came to be worth more than its kept rows are weighed up, and is then kept.
 */
class LearningLearner implements StreamLearner {
  readonly #arm: OnlineArm
  readonly #solver: ClosedFormSolver
  readonly #calibration: readonly SelectionWindow[]
  readonly #binned: BinnedSums
  readonly #recent: Ranked[] = []
  #found: BinWeightSearch | undefined
  #arrived = 0
  #learnings = 0

  constructor(arm: OnlineArm, solver: ClosedFormSolver, calibration: readonly SelectionWindow[]) {
    this.#arm = arm
    this.#solver = solver
    this.#calibration = calibration
    this.#binned = new BinnedSums(solver)
  }

  async select(window: SelectionWindow): Promise<Float32Array | undefined> {
    const at = LEARN_AT[this.#learnings]
    if (at !== undefined && this.#arrived >= at) await this.#learn()
    this.#arrived += window.rows.length
    if (this.#found === undefined) return new Float32Array(window.rows.length).fill(1)
    const ranked = this.#rank(window, this.#found.weights)
    this.#recent.push(...ranked)
    this.#recent.splice(0, this.#recent.length - RECENT)
    const threshold = this.#recent.toSorted(byRank)[Math.floor(this.#arm.keep * this.#recent.length)]!
    return Float32Array.from(ranked, (one) => Number(byRank(one, threshold) < 0))
  }

  add(window: SelectionWindow, weights: Float32Array): Promise<void> {
    return this.#binned.add(window, weights)
  }

  async total(): Promise<RidgeSums> {
    await this.#solver.flush()
    const total = this.#solver.empty()
    for (const sums of this.#binned.sums) mergeSums(total, sums)
    return total
  }

  async #learn(): Promise<void> {
    this.#learnings++
    this.#found = await this.#binned.learn(this.#calibration, { evaluations: EVALUATIONS, previous: this.#found })
  }

  #rank({ statistics, sampleId }: SelectionWindow, weights: readonly number[]): Ranked[] {
    const lot = seedLot(this.#arm.seed, sampleId)
    return Array.from(weightsByBin(weights, statistics), (weight, i) => ({ weight, lot: lotOfPosition(lot, i) }))
  }
}

interface Ranked {
  readonly weight: number
  readonly lot: number
}

/** Best first. */
function byRank(a: Ranked, b: Ranked): number {
  return b.weight - a.weight || b.lot - a.lot
}

function seedLot(seed: number, sampleId: string): number {
  return hashToUnit(`selection.${seed}`, sampleId)
}
