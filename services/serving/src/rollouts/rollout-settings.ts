import type { TrialOptions } from '@plateau/rollout'

/** How strict the steps are, and who takes part in them. */
export interface RolloutSettings extends TrialOptions {
  /** Share of requests that a canary gets. */
  readonly canaryShare: number
  /** Share of requests that stays on the version before while a new one is watched. */
  readonly holdbackShare: number
  /** Most tokens proposed in a round. */
  readonly maxProposal: number
}

/** Positions of held-out windows that both versions are asked at. */
export const WINDOW_POSITIONS = 192
/** Share of responses on which two versions are compared position by position: while one is tested, while the live one is watched, after. */
export const PAIR_SHARE = { trial: 1, watch: 0.25, confirmed: 0.1 }
/** Responses that are all compared after acceptance fell. */
export const SUSPECTED_RESPONSES = 64
/** Once a version is confirmed the one before it keeps this share: a watch goes on at little cost. */
export const CONFIRMED_HOLDBACK_SHARE = 0.01
/** A stage in which nobody asked for anything ends after this long: there is no traffic to learn from, and none to hurt. */
export const IDLE_STAGE_MS = 2_000
/** A version whose sessions fail so often is out. */
export const MAX_FAILURES = 3
