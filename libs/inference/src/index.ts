export { float32, int32, int64, type ElementType, type FloatTensor, type HostTensor } from './host-tensor.js'
export { InferenceSession, loadSession, type SessionOptions } from './session.js'
export { CausalLmDecoder, type DecoderOptions, type Sequence, type StepOptions } from './causal-lm-decoder.js'
export { type StepRows } from './step-rows.js'
export { FeatureHeadDraft, type FeatureHeadDraftOptions } from './feature-head-draft.js'
export {
  prepareDraftTarget,
  windowRows,
  type DraftRows,
  type DraftTarget,
  type WindowExpectations,
} from './feature-head-rows.js'
export { FeatureHeadScorer, summarizeScores, type DraftScores, type DraftScoreSummary } from './feature-head-scorer.js'
export { RidgeAccumulator } from './gram.js'
