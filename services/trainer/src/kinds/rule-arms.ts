import type { AcceptedRecord } from '../training-record.js'

/** The arm of everything that was kept at random, at whatever rate. */
export const RANDOM = 'random'

/**
 * Whose steps may use a window: the rules that would have kept it, by name. The rule in force is one of them where it has
 * decided; where the control arm has, chance is.
 */
export function armsOf({ arm, keep, policy, keptBy }: AcceptedRecord): ReadonlySet<string> {
  const arms = new Set(keptBy.map(armNamed))
  if (keep) arms.add(arm === 'control' ? RANDOM : armNamed(policy))
  return arms
}

/** The arm of a rule, for example of "flatness(keep=0.5)". */
export function armNamed(rule: string): string {
  return rule.startsWith(`${RANDOM}(`) ? RANDOM : rule
}

/**
 * What a window's rows count in steps of an arm. Gradient weights are the decision's: they say nothing of rules that would
 * have kept the window, too. Undefined: 1 each.
 */
export function weightsFor(window: AcceptedRecord, arm: string | undefined): Float32Array | undefined {
  const { keep, policy, gradientWeights } = window
  const isDecision = arm === undefined || arm === (window.arm === 'control' ? RANDOM : armNamed(policy))
  return keep && isDecision ? gradientWeights : undefined
}
