export { AcceptanceDrift, type AcceptanceDriftOptions } from './acceptance-drift.js'
export { AcceptanceTest, type AcceptanceTestOptions, type ArmAcceptance, type TrialArm } from './acceptance-test.js'
export { shareOf } from './canary-share.js'
export { DraftRouter, standardRouting, type DraftRouterOptions, type LabelStatus } from './draft-router.js'
export { UNUSUAL_ROUNDS, unusualResponse, VERY_HIGH, VERY_LOW, type DriftFinding, type DriftKind } from './drift.js'
export { acceptanceLength, type Comparison, type Evidence } from './evidence.js'
export { FlatnessDrift, type FlatnessDriftOptions } from './flatness-drift.js'
export { MeanSequence } from './mean-sequence.js'
export { populationStability } from './population-stability.js'
export { assertMove, mayMove, type RolloutPhase } from './rollout-phases.js'
export { SequentialTest, type MeanEvidence, type SequentialTestOptions, type Verdict } from './sequential-test.js'
export {
  madeUpResponses,
  recordedResponses,
  simulateTrials,
  standardTraffic,
  type MadeUpResponses,
  type PairedResponse,
  type Responses,
  type SimulatedTraffic,
  type SimulatedTrial,
  type SimulatedTrials,
} from './simulation.js'
export type { PairLabels, TrafficLabels, TrafficSlice } from './traffic-slices.js'
export { standardTrial, type TrialOptions } from './trial-options.js'
export { VersionTrial, type Move } from './version-trial.js'
