export { DecodingModes, type DecodingMode } from './decoding-modes.js'
export type { Draft, DraftSession, DraftStart, Proposal, SparseDistribution } from './draft.js'
export { denseDraftSignals, draftSignals, type DraftSignals } from './draft-signals.js'
export { goodnessOfFit, type GoodnessOfFit } from './goodness-of-fit.js'
export { denseOverlap, overlap } from './overlap.js'
export { KnownLogits, type LogitLists } from './known-logits.js'
export { LogitProcessors, logitProcessors, type LogitProcessing } from './logit-processors.js'
export { normal, seededRandom, type Random } from './random.js'
export { argmax, keptCount, sampleIndex, transformLogits, type Sampling } from './sampling.js'
export { PromptLookup, type LookupOffer } from './prompt-lookup.js'
export {
  SpeculationController,
  type CopyAtHand,
  type ProposalSource,
  type ResponseRecord,
  type RoundPlan,
  type SpeculationOptions,
  type SpeculationRound,
  type SpeculationSnapshot,
} from './speculation-controller.js'
export {
  denseTargetRow,
  lazyTargetRow,
  topKTargetRow,
  type RowView,
  type TargetRow,
  type TopKSource,
} from './target-row.js'
export {
  checkProposal,
  checkRawDistribution,
  drawToken,
  verifyProposal,
  type Verification,
  type VerifyInput,
} from './verify-proposal.js'
