import { closedFormWeights, type ClosedFormWeight } from './closed-form-weights.js'
import { strategyNamed } from './strategies/registry.js'
import type { Strategy } from './strategies/strategy.js'

/** What a window is worth to each stage of training. */
export interface SelectionPolicy {
  readonly strategy: Strategy
  /** Share of windows that gradients may use, in (0, 1]. 1 for a strategy that does not filter. */
  readonly keep: number
  readonly closedFormWeight: ClosedFormWeight
}

/** Throws RangeError, naming the field, when the parts do not make a policy. */
export function selectionPolicy(parts: {
  readonly strategy: string
  readonly keep: number
  readonly closedFormWeight: string
}): SelectionPolicy {
  const strategy = strategyNamed(parts.strategy)
  if (!(parts.keep > 0 && parts.keep <= 1)) throw new RangeError(`keep is ${parts.keep}, outside (0, 1]`)
  const closedFormWeight = closedFormWeights.find((name) => name === parts.closedFormWeight)
  if (!closedFormWeight) {
    throw new RangeError(
      `unknown closed-form weight "${parts.closedFormWeight}"; known are ${closedFormWeights.join(', ')}`,
    )
  }
  return { strategy, keep: strategy.filters ? parts.keep : 1, closedFormWeight }
}

/** The name that decisions carry, for example "flatness(keep=0.5)". */
export function policyName(policy: SelectionPolicy): string {
  return policy.strategy.filters ? `${policy.strategy.name}(keep=${policy.keep})` : policy.strategy.name
}
