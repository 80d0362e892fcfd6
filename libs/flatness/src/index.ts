export { armOf, lotOf, type Arm, type ArmShares } from './arm.js'
export {
  binCount,
  binPlaces,
  binsOf,
  binWeights,
  standardEdges,
  type BinEdges,
  type BinWeights,
} from './bin-weights.js'
export {
  binnedWeights,
  closedFormWeights,
  WEIGHT_CAP,
  weightsOf,
  type ClosedFormWeight,
} from './closed-form-weights.js'
export { flatnessFromProbabilities, flatnessFromSumSquares } from './flatness.js'
export {
  flatnessInterval,
  rounding,
  TAIL_ERROR,
  type Interval,
  type ListedDistribution,
  type Rounding,
} from './flatness-interval.js'
export { hashToUnit, lotOfPosition } from './hash.js'
export { float32AtLeast, float32AtMost } from './outward.js'
export { inclusionProbability } from './inclusion.js'
export {
  budgets,
  keepRule,
  ruleName,
  samplings,
  units,
  type Budget,
  type KeepRule,
  type KeepRuleParts,
  type Sampling,
  type Unit,
} from './keep-rule.js'
export {
  closedFormWeightsOf,
  MOST_TRIALS,
  policyName,
  selectionPolicy,
  type SelectionPolicy,
  type SelectionPolicyParts,
} from './selection-policy.js'
export { SlidingQuantile } from './sliding-quantile.js'
export type { RankedScore } from './sorted-scores.js'
export { strategyNamed, strategyNames } from './strategies/registry.js'
export type { Strategy, WindowStatistics } from './strategies/strategy.js'
export { energyFromLogSumExp, entropyFromProbabilities, marginOf, perplexityOf } from './token-statistics.js'
export { WindowSelector, windowsToRemember, type SelectorOptions, type Verdict } from './window-selector.js'
