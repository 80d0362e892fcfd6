export { ridgeDiagonal, solveRidge } from './ridge-solve.js'
export {
  addProducts,
  addRows,
  decaySums,
  decodeSums,
  emptySums,
  encodeSums,
  mergeSums,
  subtractSums,
  type RidgeSums,
  transposed,
} from './ridge-sums.js'
export {
  SumBank,
  SumBankFullError,
  sumsBytes,
  type SumBankOptions,
  type SumBankState,
  type SumKey,
  type SumShare,
} from './sum-bank.js'
export { decodeRidgePrior, encodeRidgePrior, priorSums, ridgePrior, type RidgePrior } from './ridge-prior.js'
export { AdamW, type OptimizerState, type OptimizerStep } from './adamw.js'
export { defaultAdamWOptions, type AdamWOptions } from './adamw-reference.js'
export { nextTokenBatch, shuffledRuns, type LanguageModelBatch } from './language-model-batch.js'
export { stackLayers } from './language-model-stacking.js'
export {
  batchTensors,
  evaluateLanguageModel,
  parameterTensors,
  trainLanguageModel,
  type ComputeEngine,
  type TrainingEngine,
  type EngineTensor,
  type LanguageModelTraining,
  type StepReport,
} from './language-model-training.js'
export { cosineDecay, linearWarmUp } from './schedule.js'
export { batches, fillBatch, type FilledBatch, type Piece } from './draft-batch.js'
export { featureHeadRidge } from './feature-head-ridge.js'
export { countTokens, coverage } from './draft-tokens.js'
export { embedRows, pickRows, prepareDraftTarget, type DraftRows, type DraftTarget } from './draft-rows.js'
export {
  defaultFeatureHeadTraining,
  FeatureHeadTraining,
  type DraftStepReport,
  type FeatureHeadTrainingOptions,
  type FeatureHeadTrainingState,
} from './feature-head-training.js'
export type { GuardedOptions, GuardedStep } from './guarded-optimizer.js'
export { tokenBatch, type TokenBatchShape, type TokenRows } from './causal-draft-rows.js'
export { CausalDraftTraining } from './causal-draft-training.js'
export { fitLogitScale } from './fit-logit-scale.js'
export { ReplayWindow, type ReplayItem, type ReplayOptions } from './replay-window.js'
export { pairedGain, type PairedGain } from './paired-gain.js'
export { RunningGain, type RunningGainState } from './running-gain.js'
export { KeepRuleBandit, type KeepRuleBanditOptions, type KeepRuleBanditState } from './keep-rule-bandit.js'
export {
  searchBinWeights,
  type BinWeightProblem,
  type BinWeightSearch,
  type LearnedBinWeights,
} from './bin-weight-search.js'
export { learnBinWeights, weightedSums, type BinWeightLearning } from './learn-bin-weights.js'
