import type { KeepRule } from '@plateau/contracts'
import { keepRule, ruleName, strategyNames } from '@plateau/flatness'
import { armNamed, RANDOM } from './rule-arms.js'

/** A keep rule under trial, and the arm that its turns count for. */
export interface TrialRule {
  readonly arm: string
  readonly rule: KeepRule
}

/** What can be tried: keeping everything is what happens anyway. */
export const triedStrategies = strategyNames.filter((name) => name !== 'none')

/** Stands for no rule at all. */
export const NO_TRIALS = 'off'

/**
 * One rule for each strategy, all of the same share, which holds within every domain: over all traffic a rule by flatness
 * mostly chooses a domain, and a trial of it would cost the others. Random, which every one is compared with, is always
 * among them.
 */
export function trialRules(strategies: readonly string[], keep: number): TrialRule[] {
  if (strategies.length === 0 || strategies.includes(NO_TRIALS)) return []
  return [...new Set([RANDOM, ...strategies])].map((strategy) => ({
    arm: armNamed(ruleName(keepRule({ strategy, keep, stratified: true }))),
    rule: { strategy, keep, unit: '', budget: '', stratified: true, sampling: '' },
  }))
}

/** Gradients may use every window. */
export const keepAll: KeepRule = { strategy: 'none', keep: 1, unit: '', budget: '', stratified: false, sampling: '' }
