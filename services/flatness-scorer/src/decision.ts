import { Arm as ArmOnWire, Decision as DecisionOnWire, type ScoredWindow } from '@plateau/contracts'
import type { Arm } from '@plateau/flatness'

/** What was decided about a window, once; the scored record is where it is written down. */
export interface Decision {
  readonly arm: Arm
  /** Whether gradients may use it. */
  readonly keep: boolean
  readonly score: number
  readonly threshold: number
  readonly policy: string
  /** [n], what each position counts in gradient training; undefined where every one counts 1. fp32, as published. */
  readonly gradientWeights: Float32Array | undefined
  /** Rules under trial that would have kept it, by name. */
  readonly keptBy: readonly string[]
}

/** How many of the window's n positions gradients may use. */
export function keptPositions({ keep, gradientWeights }: Decision, n: number): number {
  if (!keep) return 0
  return gradientWeights?.reduce((kept, weight) => kept + (weight > 0 ? 1 : 0), 0) ?? n
}

const armsOnWire = {
  selected: ArmOnWire.ARM_SELECTED,
  control: ArmOnWire.ARM_CONTROL,
  evaluation: ArmOnWire.ARM_EVALUATION,
} as const satisfies Record<Arm, ArmOnWire>

export function armOnWire(arm: Arm): ArmOnWire {
  return armsOnWire[arm]
}

export function decisionOnWire(decision: Decision): DecisionOnWire {
  return decision.keep ? DecisionOnWire.DECISION_KEEP : DecisionOnWire.DECISION_DROP
}

/** The decision that a scored record states; undefined when it states none. */
export function decisionOf(scored: ScoredWindow): Decision | undefined {
  const arm = (Object.keys(armsOnWire) as Arm[]).find((name) => armsOnWire[name] === scored.arm)
  if (arm === undefined || scored.decision === DecisionOnWire.DECISION_UNSPECIFIED) return undefined
  const keep = scored.decision === DecisionOnWire.DECISION_KEEP && arm !== 'evaluation'
  const { score, threshold, policy, gradientWeights, keptBy } = scored
  const weights = gradientWeights.length > 0 ? Float32Array.from(gradientWeights) : undefined
  return { arm, keep, score, threshold, policy, gradientWeights: weights, keptBy }
}

/** Names a window for ever, in every topic. */
export type WindowKey = string & { readonly windowKey: never }

export function windowKey(window: { readonly sampleId: string; readonly windowIndex: number }): WindowKey {
  return `${window.sampleId}:${window.windowIndex}` as WindowKey
}

const TRAINING_ID = 'training:'

/** ce_id of the window's scored record: the same on every redelivery. */
export const scoredId = (key: WindowKey): string => `scored:${key}`
/** ce_id of the window's training record. */
export const trainingId = (key: WindowKey): string => `${TRAINING_ID}${key}`

/** The window of a training record's ce_id. */
export function windowOfTrainingId(id: string | undefined): WindowKey | undefined {
  return id?.startsWith(TRAINING_ID) ? (id.slice(TRAINING_ID.length) as WindowKey) : undefined
}
