import { binWeights, type BinWeights } from './bin-weights.js'
import { binnedWeights, closedFormWeights, weightsOf, type ClosedFormWeight } from './closed-form-weights.js'
import { keepRule, ruleName, type KeepRule, type KeepRuleParts } from './keep-rule.js'
import type { WindowStatistics } from './strategies/strategy.js'

/** What a window is worth to each stage of training. */
export interface SelectionPolicy {
  /** What gradients may use. */
  readonly rule: KeepRule
  readonly closedFormWeight: ClosedFormWeight
  /** Set where closedFormWeight is binned. */
  readonly binWeights?: BinWeights
  /** Rules that decide nothing but are tried out: each window says which of them would have kept it. */
  readonly trials: readonly KeepRule[]
}

/** As a record or a configuration states it. */
export interface SelectionPolicyParts extends KeepRuleParts {
  readonly closedFormWeight: string
  readonly binWeights?: BinWeights | undefined
  readonly trials?: readonly KeepRuleParts[] | undefined
}

/** Every window lists the trials that would have kept it, so they cost room in every record. */
export const MOST_TRIALS = 32

/** Throws RangeError, naming the field, when the parts do not make a policy. */
export function selectionPolicy(parts: SelectionPolicyParts): SelectionPolicy {
  const rule = keepRule(parts)
  const trials = trialsOf(parts.trials ?? [])
  if (parts.closedFormWeight === 'binned') {
    if (!parts.binWeights) throw new RangeError('binWeights is missing; closedFormWeight is binned')
    return { rule, closedFormWeight: 'binned', binWeights: binWeights(parts.binWeights), trials }
  }
  const closedFormWeight = closedFormWeights.find((name) => name === parts.closedFormWeight)
  if (!closedFormWeight) {
    const known = [...closedFormWeights, 'binned'].join(', ')
    throw new RangeError(`unknown closed-form weight "${parts.closedFormWeight}"; known are ${known}`)
  }
  return { rule, closedFormWeight, trials }
}

/** The name that decisions carry, for example "flatness(keep=0.5)". */
export function policyName(policy: SelectionPolicy): string {
  return ruleName(policy.rule)
}

/** [n], what each position weighs in the closed form; `meanInverseFlatness` is of recent traffic. */
export function closedFormWeightsOf(
  { closedFormWeight, binWeights: bins }: SelectionPolicy,
  window: WindowStatistics,
  meanInverseFlatness: number,
): Float32Array {
  if (closedFormWeight === 'binned') return binnedWeights(bins!, window)
  return weightsOf(closedFormWeight, window.flatness, meanInverseFlatness)
}

function trialsOf(trials: readonly KeepRuleParts[]): KeepRule[] {
  if (trials.length > MOST_TRIALS) throw new RangeError(`trials are ${trials.length}, at most ${MOST_TRIALS}`)
  return trials.map((parts, i) => {
    const rule = trialOf(parts, i)
    // A name says of a window that it would have been kept, not which of its positions or how much they would count.
    if (rule.unit === 'token') throw new RangeError(`trials[${i}].unit is token; a window is tried out as a whole`)
    return rule
  })
}

function trialOf(parts: KeepRuleParts, i: number): KeepRule {
  try {
    return keepRule(parts)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new RangeError(`trials[${i}]: ${cause.message}`, { cause })
  }
}
