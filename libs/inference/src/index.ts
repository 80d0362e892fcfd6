export { float32, int32, int64, type ElementType, type FloatTensor, type HostTensor } from './host-tensor.js'
export { InferenceSession, loadSession, warmEngine, type ExecutionProvider, type SessionOptions } from './session.js'
export { measureBandwidth, timesOfReading, type BandwidthOptions } from './bandwidth.js'
export { memoryWeights } from './memory-weights.js'
export {
  loadDecoderSession,
  type DecoderCache,
  type DecoderSession,
  type DecoderSessionOptions,
} from './decoder-session.js'
export { CausalLmDecoder, type DecoderOptions } from './causal-lm-decoder.js'
export { type RunReport } from './decode-loop.js'
export { type Sequence, type StepOptions } from './decoder-sequence.js'
export { type KvMemoryUse } from './kv-memory.js'
export { type StepRows } from './step-rows.js'
export { buildCausalDraft, CausalLmDraft, type BuiltCausalDraft, type CausalLmDraftOptions } from './causal-lm-draft.js'
export { targetAsDraft } from './target-as-draft.js'
export { CausalLmDraftScorer } from './causal-lm-draft-scorer.js'
export { buildFeatureHead, SHARED_OUTPUT_ELEMENTS, type BuiltFeatureHead } from './built-feature-head.js'
export { OutputHeads } from './output-heads.js'
export { FeatureHeadDraft, type FeatureHeadDraftOptions } from './feature-head-draft.js'
export { windowRows, type WindowExpectations } from './draft-windows.js'
// Part of this package's signatures: who drafts need not know where they come from.
export { prepareDraftTarget, type DraftRows, type DraftTarget } from '@plateau/training'
export { FeatureHeadScorer, summarizeScores, type DraftScores, type DraftScoreSummary } from './feature-head-scorer.js'
export { type PositionSignals } from './position-signals.js'
export { RidgeAccumulator } from './gram.js'
export { RidgeSolver } from './ridge-solver.js'
export { alphaByWindow, evaluateDraft, type EvaluationTarget } from './evaluate-draft.js'
