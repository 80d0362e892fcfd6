import { RolloutState, type RolloutEvidence } from '@plateau/contracts'
import type { Evidence, VersionTrial } from '@plateau/rollout'
import type { LoadedDraft } from './loaded-draft.js'
import type { RolloutTrace } from './rollout-trace.js'

export type ServedPhase = 'shadow' | 'canary' | 'live' | 'confirmed'

/** A version that is tested or live. */
export interface ServedVersion {
  readonly loaded: LoadedDraft
  readonly phase: ServedPhase
  readonly sinceMs: number
  /** When its announcement arrived. */
  readonly arrivedMs: number
  /** What it is held against; undefined: nothing to compare it with, or it is pinned. */
  readonly trial: VersionTrial | undefined
  /** From its announcement until it is live or refused. */
  readonly trace: RolloutTrace | undefined
  /** The newest of each comparison. */
  readonly evidence: Map<string, RolloutEvidence>
}

export const STATE_OF: Readonly<Record<ServedPhase, RolloutState>> = {
  shadow: RolloutState.ROLLOUT_STATE_SHADOW,
  canary: RolloutState.ROLLOUT_STATE_CANARY,
  live: RolloutState.ROLLOUT_STATE_LIVE,
  confirmed: RolloutState.ROLLOUT_STATE_CONFIRMED,
}

export function wireEvidence(evidence: Evidence): RolloutEvidence {
  return { ...evidence, slices: evidence.slices.map((slice) => ({ ...slice })) }
}
