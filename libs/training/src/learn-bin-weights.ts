import { searchBinWeights, type BinWeightProblem, type BinWeightSearch } from './bin-weight-search.js'
import { emptySums, mergeSums, type RidgeSums } from './ridge-sums.js'

export interface BinWeightLearning<Model> extends Omit<BinWeightProblem, 'mass'> {
  /** Per bin the sums of its rows, each counting 1. */
  readonly sums: readonly RidgeSums[]
  /** What is learned from weighted sums. Its weight is that of all rows, whatever the weights. */
  readonly solve: (sums: RidgeSums) => Model | Promise<Model>
  /** Alpha of every held-out position, window after window, after calibrating the model: weights move calibration. */
  readonly score: (model: Model) => ArrayLike<number> | Promise<ArrayLike<number>>
}

/** Weights of bins in the closed form that held-out positions like best: see searchBinWeights. Throws what `solve` throws. */
export async function learnBinWeights<Model>({
  sums,
  solve,
  score,
  ...problem
}: BinWeightLearning<Model>): Promise<BinWeightSearch> {
  const search = searchBinWeights({ ...problem, mass: sums.map(({ weight }) => weight) })
  let turn = search.next()
  while (turn.done !== true) turn = search.next(await score(await solve(weightedSums(sums, turn.value))))
  return turn.value
}

/** Sum over bins of w_b S_b. */
export function weightedSums(sums: readonly RidgeSums[], weights: readonly number[]): RidgeSums {
  const total = emptySums(sums[0]!.inputs, sums[0]!.outputs)
  sums.forEach((one, bin) => mergeSums(total, one, weights[bin]))
  return total
}
