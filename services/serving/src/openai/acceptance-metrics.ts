import type { SpeculationStep } from '../serving-engine.js'

/** PLATEAU_REQUEST_METRICS: what a response says about its own speculation. */
export type RequestMetricsLevel = 'none' | 'summary' | 'detailed'

/**
 * `metrics.speculative_decoding` of a response, by names and definitions of vLLM's "Per-Request Acceptance Metrics"
 * (docs/features/speculative_decoding/acceptance_metrics.md, vLLM 0.32). A step is a round that verified a proposal, of the
 * draft or copied from the text; a bonus or recovered token is not an accepted one.
 */
export interface AcceptanceMetrics {
  /** 1 + num_accepted_draft_tokens / num_spec_steps; 1 without a step. */
  readonly mean_acceptance_length: number
  /** num_accepted_draft_tokens / num_draft_tokens; 0 without a proposal. */
  readonly draft_acceptance_rate: number
  /** At j: steps that accepted exactly j tokens, j from 0 to num_spec_tokens. */
  readonly acceptance_histogram: readonly number[]
  /** The same for every length k that was proposed, j from 0 to k. */
  readonly acceptance_histogram_by_draft_length: Readonly<Record<string, readonly number[]>>
  readonly num_spec_steps: number
  readonly num_accepted_draft_tokens: number
  readonly num_draft_tokens: number
  /** Most tokens that a step may propose. */
  readonly num_spec_tokens: number
  /** In order, one for each step; only in detail. */
  readonly per_step_accepted?: readonly number[]
  readonly per_step_drafted?: readonly number[]
}

export function acceptanceMetrics(
  steps: readonly SpeculationStep[],
  options: { readonly maxProposal: number; readonly detailed: boolean },
): AcceptanceMetrics {
  const numDraftTokens = sum(steps.map(({ proposed }) => proposed))
  const numAccepted = sum(steps.map(({ accepted }) => accepted))
  const lengths = [...new Set(steps.map(({ proposed }) => proposed))].toSorted((a, b) => a - b)
  const byLength = lengths.map((length) => [
    String(length),
    histogram(
      steps.filter(({ proposed }) => proposed === length),
      length,
    ),
  ])
  const perStep = {
    per_step_accepted: steps.map(({ accepted }) => accepted),
    per_step_drafted: steps.map(({ proposed }) => proposed),
  }
  return {
    mean_acceptance_length: steps.length === 0 ? 1 : 1 + numAccepted / steps.length,
    draft_acceptance_rate: numDraftTokens === 0 ? 0 : numAccepted / numDraftTokens,
    acceptance_histogram: histogram(steps, options.maxProposal),
    acceptance_histogram_by_draft_length: Object.fromEntries(byLength) as Record<string, number[]>,
    num_spec_steps: steps.length,
    num_accepted_draft_tokens: numAccepted,
    num_draft_tokens: numDraftTokens,
    num_spec_tokens: options.maxProposal,
    ...(options.detailed ? perStep : {}),
  }
}

function histogram(steps: readonly SpeculationStep[], longest: number): number[] {
  const counts = Array.from({ length: longest + 1 }, () => 0)
  for (const { accepted } of steps) counts[accepted]! += 1
  return counts
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
