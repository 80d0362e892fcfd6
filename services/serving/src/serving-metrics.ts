import type { Metrics } from '@plateau/telemetry'
import type { DriftWatch } from './drift-watch.js'

const LATENCY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/**
 * Everything serving counts. The spec_decode names and conventions are vLLM's:
 *   acceptance rate = accepted / draft tokens; mean acceptance length = 1 + accepted / drafts (with the bonus token).
 * alpha = sum of min(p, q) per judged position, raw distributions; its mean = alpha_sum / alpha_positions. It is higher
 * than the acceptance rate, which counts proposals that were never judged.
 */
export function declareServingMetrics(metrics: Metrics) {
  const labels = ['draft_version', 'tenant'] as const
  return {
    drafts: metrics.counter({
      name: 'plateau_spec_decode_num_drafts_total',
      help: 'Rounds in which the draft proposed something.',
      labels,
    }),
    draftTokens: metrics.counter({
      name: 'plateau_spec_decode_num_draft_tokens_total',
      help: 'Proposed tokens.',
      labels,
    }),
    acceptedTokens: metrics.counter({
      name: 'plateau_spec_decode_num_accepted_tokens_total',
      help: 'Accepted proposed tokens, without bonus or recovered ones.',
      labels,
    }),
    acceptedPerPosition: metrics.counter({
      name: 'plateau_spec_decode_num_accepted_tokens_per_pos_total',
      help: 'Accepted proposed tokens by position within the proposal, from 0.',
      labels: ['draft_version', 'position'],
    }),
    alphaSum: metrics.counter({
      name: 'plateau_spec_decode_alpha_sum_total',
      help: 'Sum of alpha = sum of min(p, q) over judged positions.',
      labels,
    }),
    alphaPositions: metrics.counter({
      name: 'plateau_spec_decode_alpha_positions_total',
      help: 'Judged positions whose alpha is known.',
      labels,
    }),
    generatedTokens: metrics.counter({
      name: 'plateau_generation_tokens_total',
      help: 'Tokens generated for clients, with speculation or without.',
      labels,
    }),
    promptTokens: metrics.counter({
      name: 'plateau_prompt_tokens_total',
      help: 'Prompt tokens of requests that were started.',
      labels: ['tenant'],
    }),
    requests: metrics.counter({
      name: 'plateau_requests_total',
      help: 'Requests by how they ended: stop, length, cancelled, rejected, failed. One of n choices counts as n.',
      labels: ['outcome', 'tenant'],
    }),
    refused: metrics.counter({
      name: 'plateau_requests_refused_total',
      help: 'Requests told to come back later (429), by the limit they reached: requests_per_minute, tokens_per_minute, concurrency (quotas), queue_full, queue_wait, target.',
      labels: ['tenant', 'reason'],
    }),
    lostStreams: metrics.counter({
      name: 'plateau_target_streams_lost_total',
      help: 'Responses that the target broke off after their first token.',
    }),
    firstToken: metrics.histogram({
      name: 'plateau_time_to_first_token_seconds',
      help: 'From the arrival of a request to its first token, waiting included.',
      buckets: LATENCY_SECONDS,
    }),
    interToken: metrics.histogram({
      name: 'plateau_inter_token_latency_seconds',
      help: 'Time of a round divided by the tokens it emitted, one observation for each token.',
      buckets: LATENCY_SECONDS,
    }),
    roundSeconds: metrics.counter({
      name: 'plateau_speculative_round_seconds_total',
      help: 'Time of rounds that verified a proposal, by part: draft (proposing), target (its engine), other.',
      labels: ['part'],
    }),
    draftErrors: metrics.counter({
      name: 'plateau_draft_errors_total',
      help: 'Failures of a draft while proposing; the response went on without it.',
    }),
    swaps: metrics.counter({
      name: 'plateau_draft_swaps_total',
      help: 'Times that new requests were given another version.',
    }),
    rejectedVersions: metrics.counter({
      name: 'plateau_draft_versions_rejected_total',
      help: 'Announced versions, or records, that were refused.',
    }),
    rolledBack: metrics.counter({
      name: 'plateau_draft_rollbacks_total',
      help: 'Live versions that were taken off traffic because they were worse, failed, or an operator said so.',
    }),
    unusualResponses: metrics.counter({
      name: 'plateau_unusual_responses_total',
      help: 'Responses of which hardly anything (very-low) or all but everything (very-high, as of text that repeats itself) was accepted.',
      labels: ['acceptance', 'tenant'],
    }),
    unreported: metrics.counter({
      name: 'plateau_acceptance_report_failures_total',
      help: 'Times that the acceptance topic took no records; they were kept for the next report.',
    }),
  }
}

export type ServingMetrics = ReturnType<typeof declareServingMetrics>

/** Gauges that are read from the parts of the service at every scrape. */
export function observeServing(
  metrics: Metrics,
  read: {
    readonly running: () => number
    readonly waiting: () => number
    readonly liveVersion: () => number
    readonly proposal: () => number
    readonly breakEven: () => number | undefined
    readonly targetConnected: () => boolean
    readonly acceptance: DriftWatch['means']
  },
): void {
  const gauge = (name: string, help: string, value: () => number): void =>
    metrics.gauge({ name, help }).observe(() => [[{}, value()]])
  gauge('plateau_requests_running', 'Responses being generated.', read.running)
  gauge('plateau_requests_waiting', 'Requests waiting for their turn.', read.waiting)
  gauge('plateau_draft_version', 'Version that new requests use; 0 = none.', read.liveVersion)
  gauge('plateau_speculation_on', '1 while speculation pays, else 0.', () => (read.proposal() > 0 ? 1 : 0))
  gauge('plateau_speculation_proposal', 'Tokens proposed in a round at present; 0 = off.', read.proposal)
  gauge(
    'plateau_speculation_break_even_acceptance',
    'Acceptance of one proposed token above which proposing pays; NaN until measured.',
    () => read.breakEven() ?? Number.NaN,
  )
  metrics
    .gauge({
      name: 'plateau_spec_decode_recent_acceptance',
      help: 'Accepted / judged proposals of drafts, fading: over some 1,000 proposals (short) and 20,000 (long).',
      labels: ['tenant', 'domain', 'over'],
    })
    .observe(() =>
      read.acceptance().flatMap(({ tenant, domain, short, long }) => [
        [{ tenant, domain, over: 'short' }, short],
        [{ tenant, domain, over: 'long' }, long],
      ]),
    )
  gauge('plateau_target_connected', '1 while the target answers.', () => (read.targetConnected() ? 1 : 0))
}
