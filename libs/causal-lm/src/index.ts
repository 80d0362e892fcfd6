export {
  parameterShapes,
  type CausalLmConfig,
  type ModelFamily,
  type Parameter,
  type Parameters,
  type RopeScaling,
} from './config.js'
export { type QuantizedMatrix, type WeightSource } from './weight-source.js'
export { preparedWeights, type GraphWeights, type WeightsOf } from './graph-weights.js'
export { matrixBytes, matrixKey, type PreparedMatrix, type PreparedWeights } from './prepared-weights.js'
export { prepareWeights, type KeepTensor, type WeightFormat } from './prepare-weights.js'
export { recordRequests, type WeightRequests } from './weight-requests.js'
export { initialParameters } from './initial-parameters.js'
export { rotaryTable } from './rotary-table.js'
export {
  buildTrainGraph,
  gradientPrefix,
  type TrainGraph,
  type TrainGraphOptions,
  type TrainGraphShape,
} from './train-graph.js'
export { buildDecoderGraph, type DecoderGraphOptions } from './decoder-graph.js'
export { decoderInputs, decoderOutputs } from './decoder-names.js'
export { scoringTail } from './scoring-tail.js'
export { buildHeadGraph, headLayerName } from './head-graph.js'
export {
  draftLosses,
  buildFeatureHeadScoreGraph,
  buildFeatureHeadTrainGraph,
  trainableFeatureHeadParameters,
  type TrainedParts,
  type DraftLoss,
  type FeatureHeadBatchShape,
  type FeatureHeadTrainOptions,
} from './feature-head-batch.js'
export {
  causalDraftKind,
  checkCausalDraft,
  draftVocabularyMap,
  initialCausalDraft,
  withDraftVocabulary,
  withLogitScale,
  type CausalDraft,
  type CausalDraftConfig,
  type DraftVocabularyMap,
} from './causal-draft.js'
export { causalDraftShape } from './causal-draft-shape.js'
export { mostFrequentTokens } from './draft-vocabulary.js'
export { buildCausalDraftScoreGraph } from './causal-draft-batch.js'
export { type ScoreOptions } from './score-outputs.js'
export {
  buildDraftOutputGraph,
  buildFeatureHeadDecodeGraph,
  buildFeatureHeadTrunkGraph,
  draftOutputMatrix,
  type DecodeGraphOptions,
  type DraftWeightFormat,
} from './feature-head-decode.js'
export { buildRidgeProductsGraph, gramBlocks, type GramBlock } from './ridge-products.js'
export { eagle3Layout, type Eagle3Layout } from './eagle3-layout.js'
export { featureHeadConfigJson, featureHeadKind, parseFeatureHeadConfig } from './feature-head-config.js'
export { draftOutputHead, draftRowsOfTokens, draftVocabSize, withVocabulary } from './feature-head-vocabulary.js'
export { featureHeadRow, referenceFeatureHead, type FeatureHeadOutput } from './feature-head-reference.js'
export {
  checkFeatureHead,
  checkFeatureHeadFits,
  defaultLogitScale,
  featureHeadInputs,
  featureHeadParameter,
  featureHeadShapes,
  initialFeatureHead,
  reciprocalRms,
  gradientLayer,
  withLayer,
  withoutLayer,
  withParameters,
  type FeatureHead,
  type FeatureHeadConfig,
  type FeatureHeadLayer,
  type FeatureHeadTarget,
} from './feature-head.js'
export { referenceForward, type ReferenceForward } from './reference-forward.js'
