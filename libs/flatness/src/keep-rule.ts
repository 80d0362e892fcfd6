import { strategyNamed } from './strategies/registry.js'
import type { Strategy } from './strategies/strategy.js'

/** What is kept or dropped as one: a window, a response as far as it is known, or single positions. */
export const units = ['window', 'sample', 'token'] as const
export type Unit = (typeof units)[number]

/** What the kept share is a share of. */
export const budgets = ['windows', 'tokens'] as const
export type Budget = (typeof budgets)[number]

/**
 * top: the best share. weighted: each is drawn with a probability that rises with its score and counts by the inverse of
 * it, so that the sum over what is kept expects to be the sum over everything.
 */
export const samplings = ['top', 'weighted'] as const
export type Sampling = (typeof samplings)[number]

/** Which windows, or which of their positions, gradients may use. */
export interface KeepRule {
  readonly strategy: Strategy
  /** Share that is kept, in (0, 1]. 1 for a strategy that does not filter. */
  readonly keep: number
  readonly unit: Unit
  /** Of a rule whose unit is the token always tokens. */
  readonly budget: Budget
  /** True: the share holds within every domain, not only over all. */
  readonly stratified: boolean
  readonly sampling: Sampling
}

/** As a record or a configuration states it. Empty parts mean the first of their kind. */
export interface KeepRuleParts {
  readonly strategy: string
  readonly keep: number
  readonly unit?: string | undefined
  readonly budget?: string | undefined
  readonly stratified?: boolean | undefined
  readonly sampling?: string | undefined
}

/** Throws RangeError, naming the field, when the parts do not make a rule. */
export function keepRule(parts: KeepRuleParts): KeepRule {
  const strategy = strategyNamed(parts.strategy)
  if (!(parts.keep > 0 && parts.keep <= 1)) throw new RangeError(`keep is ${parts.keep}, outside (0, 1]`)
  const unit = oneOf(units, 'unit', parts.unit)
  const budget = oneOf(budgets, 'budget', parts.budget)
  const sampling = oneOf(samplings, 'sampling', parts.sampling)
  // One rule, one name: where nothing is dropped the other parts change nothing.
  if (!strategy.filters) {
    return { strategy, keep: 1, unit: 'window', budget: 'windows', stratified: false, sampling: 'top' }
  }
  const stratified = parts.stratified ?? false
  return { strategy, keep: parts.keep, unit, budget: unit === 'token' ? 'tokens' : budget, stratified, sampling }
}

/** For example "flatness(keep=0.5)"; further parts only where they are not the default: "flatness(keep=0.5,unit=token)". */
export function ruleName(rule: KeepRule): string {
  if (!rule.strategy.filters) return rule.strategy.name
  const parts = [
    `keep=${rule.keep}`,
    rule.unit === 'window' ? '' : `unit=${rule.unit}`,
    rule.budget === 'windows' || rule.unit === 'token' ? '' : `budget=${rule.budget}`,
    rule.stratified ? 'stratified' : '',
    rule.sampling === 'top' ? '' : `sampling=${rule.sampling}`,
  ]
  return `${rule.strategy.name}(${parts.filter((part) => part !== '').join(',')})`
}

/** Whether what is kept says for each position what it counts: single ones are left out, or counted more than once. */
export function weighsPositions(rule: KeepRule): boolean {
  return rule.unit === 'token' || rule.sampling === 'weighted'
}

function oneOf<const T extends string>(known: readonly T[], field: string, name: string | undefined): T {
  if (name === undefined || name === '') return known[0]!
  const found = known.find((one) => one === name)
  if (found === undefined) throw new RangeError(`${field} is "${name}"; known are ${known.join(', ')}`)
  return found
}
