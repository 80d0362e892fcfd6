import type { SelectionPolicy } from '@plateau/contracts'
import { keepRule, ruleName } from '@plateau/flatness'
import { metricByLabel } from './metrics.js'

/** What the lineage has learned about selection, with its intervals. */
export interface SelectionReport {
  /** In force for gradients, for example "least-flat(keep=0.5)". */
  readonly rule: string
  /** What the policy gains over random at matched positions: closed-form in alpha, gradients in alpha per 10,000 positions. */
  readonly gains: readonly Estimate[]
  /** What each keep rule gained more than random, in alpha per 10,000 positions trained on by it. */
  readonly rules: readonly (Estimate & { readonly turns: number })[]
  /** Weights of positions in the closed form, by bins of the effective number of tokens. */
  readonly bins: readonly BinWeight[]
}

export interface Estimate {
  readonly name: string
  readonly gain: number
  readonly standardError: number
}

export interface BinWeight {
  readonly tokens: string
  /** One, or by how far the draft is off. */
  readonly weights: readonly number[]
}

/** Rule and weights from the policy topic, gains as they stand now from the trainer's metrics. */
export async function selectionReport(policy: SelectionPolicy | undefined, opsUrl: string): Promise<SelectionReport> {
  const turns = await metricByLabel(opsUrl, 'plateau_trainer_rule_turns_total', 'rule')
  const rules = await estimates(opsUrl, 'plateau_trainer_rule_gain', 'rule')
  return {
    rule: ruleText(policy),
    gains: await estimates(opsUrl, 'plateau_trainer_policy_gain', 'stage'),
    rules: rules.map((rule) => ({ ...rule, turns: turns.get(rule.name) ?? 0 })),
    bins: binsOf(policy),
  }
}

export function ruleText(policy: SelectionPolicy | undefined): string {
  if (policy === undefined) return "the scorer's own"
  return policy.strategy === 'none' ? 'none: everything is kept' : ruleName(keepRule(policy))
}

async function estimates(opsUrl: string, metric: string, label: string): Promise<Estimate[]> {
  const gains = await metricByLabel(opsUrl, metric, label)
  const errors = await metricByLabel(opsUrl, `${metric}_standard_error`, label)
  return [...gains].map(([name, gain]) => ({ name, gain, standardError: errors.get(name) ?? Number.NaN }))
}

function binsOf(policy: SelectionPolicy | undefined): BinWeight[] {
  const { effectiveTokens = [], weights = [] } = policy?.binWeights ?? {}
  const columns = weights.length / (effectiveTokens.length + 1)
  return Array.from({ length: weights.length / columns || 0 }, (_, row) => ({
    tokens: rangeText(effectiveTokens[row - 1], effectiveTokens[row]),
    weights: weights.slice(row * columns, (row + 1) * columns),
  }))
}

function rangeText(from: number | undefined, to: number | undefined): string {
  if (to === undefined) return `${from ?? 1} or more`
  return `${from ?? 1} to ${to}`
}
