import { hashToUnit } from './hash.js'

/**
 * What a sample is for. `selected`: the policy decides. `control`: kept at random, whatever its score. `evaluation`: held
 * out, never trained on.
 */
export type Arm = 'selected' | 'control' | 'evaluation'

/** Shares of samples, in [0, 1], together at most 1. The rest is `selected`. */
export interface ArmShares {
  readonly evaluation: number
  readonly control: number
}

/**
 * The sample's arm, drawn from its id alone: before scoring, so it cannot depend on the score, and the same in every
 * process, for ever. A held-out sample stays held out as long as nobody lowers the evaluation share.
 */
export function armOf(sampleId: string, shares: ArmShares): Arm {
  const ticket = hashToUnit('plateau.arm', sampleId)
  if (ticket < shares.evaluation) return 'evaluation'
  return ticket < shares.evaluation + shares.control ? 'control' : 'selected'
}

/**
 * A window's lot in [0, 1), unrelated to its arm: breaks ties between equal scores, and draws what the control arm and
 * the random strategy keep.
 */
export function lotOf(sampleId: string, windowIndex: number): number {
  return hashToUnit('plateau.lot', `${sampleId}:${windowIndex}`)
}
