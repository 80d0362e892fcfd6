import type { TrafficSlice } from './traffic-slices.js'

/** Field by field what plateau.stream.v1.RolloutEvidence says. Differences are this version minus the other one. */
export interface Evidence {
  readonly comparison: Comparison
  /** Positions, or judged proposals of this version. */
  readonly positions: number
  /** Mean alpha, or acceptance, of this version and of the other one. */
  readonly value: number
  readonly otherValue: number
  readonly difference: number
  /** Interval of the difference; it holds at any time it is looked at. */
  readonly low: number
  readonly high: number
  /** Probability that the interval misses, at most. */
  readonly errorRate: number
  /** How much worse it may be; below 0, how much better it has to be. */
  readonly margin: number
  readonly acceptanceLength: number
  readonly otherAcceptanceLength: number
  /** Requests that used it so far. */
  readonly requests: number
  readonly slices: TrafficSlice[]
}

export type Comparison = 'windows' | 'live-pairs' | 'live-acceptance'

const PROPOSALS = 5

/** Expected tokens of a round at five proposals, (1 - a^6) / (1 - a) = 1 + a + ... + a^5 (Leviathan et al. 2023). */
export function acceptanceLength(acceptance: number): number {
  let length = 1
  for (let i = 0; i < PROPOSALS; i++) length = 1 + acceptance * length
  return length
}
