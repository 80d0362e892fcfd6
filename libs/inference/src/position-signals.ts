import type { DraftSignals } from '@plateau/speculation'

/** `draftSignals` of a list of positions: q over the draft's whole vocabulary, p at the target's listed tokens only. */
export interface PositionSignals {
  /** alpha, as in DraftScores. */
  readonly overlap: Float64Array
  /** First-order change of alpha by one step on KL(p || q) of the draft's logits, per unit of step size. */
  readonly gain: Float64Array
  /** H(q), Shannon, in nats. */
  readonly entropy: Float64Array
}

export function emptySignals(positions: number): PositionSignals {
  const each = () => new Float64Array(positions)
  return { overlap: each(), gain: each(), entropy: each() }
}

export function setSignals(signals: PositionSignals, at: number, { overlap, gain, entropy }: DraftSignals): void {
  signals.overlap[at] = overlap
  signals.gain[at] = gain
  signals.entropy[at] = entropy
}
