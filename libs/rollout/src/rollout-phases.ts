/**
 *     announced ──▶ verified ──▶ shadow ──▶ canary ──▶ live ──▶ confirmed
 *         │            │           │          │       │  ▲          │
 *         └────────────┴─────┬─────┴──────────┘       │  │          │
 *                            ▼                        ├──┼──────────┤
 *                        rejected                     ▼  │          ▼
 *                                                   replaced    rolled-back
 *
 * An operator's promotion goes from verified, shadow or canary straight to live. A replaced version comes back as live when
 * the one after it is taken off traffic, and is rolled back itself when an operator withdraws it. Rejected and rolled-back
 * are for good.
 */
export type RolloutPhase =
  | 'announced'
  | 'verified'
  | 'shadow'
  | 'canary'
  | 'live'
  | 'confirmed'
  | 'replaced'
  | 'rejected'
  | 'rolled-back'

const MOVES: Readonly<Record<RolloutPhase, readonly RolloutPhase[]>> = {
  announced: ['verified', 'rejected'],
  verified: ['shadow', 'live', 'rejected'],
  shadow: ['canary', 'live', 'rejected'],
  canary: ['live', 'rejected'],
  live: ['confirmed', 'replaced', 'rolled-back'],
  confirmed: ['replaced', 'rolled-back'],
  replaced: ['live', 'rolled-back'],
  rejected: [],
  'rolled-back': [],
}

export function mayMove(from: RolloutPhase, to: RolloutPhase): boolean {
  return MOVES[from].includes(to)
}

/** Throws a RangeError where a version may not go from one to the other. */
export function assertMove(from: RolloutPhase, to: RolloutPhase): void {
  if (!mayMove(from, to)) throw new RangeError(`a version that is ${from} cannot become ${to}`)
}
