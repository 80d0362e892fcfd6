import type { Metrics } from '@plateau/telemetry'
import type { DriftWatch } from './drift-watch.js'

/** Everything serving counts. */
export function declareServingMetrics(metrics: Metrics) {
  return {
    drafts: metrics.counter('plateau_spec_decode_num_drafts_total'),
    draftTokens: metrics.counter('plateau_spec_decode_num_draft_tokens_total'),
    acceptedTokens: metrics.counter('plateau_spec_decode_num_accepted_tokens_total'),
    acceptedPerPosition: metrics.counter('plateau_spec_decode_num_accepted_tokens_per_pos_total'),
    alphaSum: metrics.counter('plateau_spec_decode_alpha_sum_total'),
    alphaPositions: metrics.counter('plateau_spec_decode_alpha_positions_total'),
    generatedTokens: metrics.counter('plateau_generation_tokens_total'),
    promptTokens: metrics.counter('plateau_prompt_tokens_total'),
    requests: metrics.counter('plateau_requests_total'),
    refused: metrics.counter('plateau_requests_refused_total'),
    lostStreams: metrics.counter('plateau_target_streams_lost_total'),
    firstToken: metrics.histogram('plateau_time_to_first_token_seconds'),
    interToken: metrics.histogram('plateau_inter_token_latency_seconds'),
    roundSeconds: metrics.counter('plateau_speculative_round_seconds_total'),
    draftErrors: metrics.counter('plateau_draft_errors_total'),
    swaps: metrics.counter('plateau_draft_swaps_total'),
    swapSeconds: metrics.histogram('plateau_draft_swap_seconds'),
    liveSince: metrics.gauge('plateau_draft_live_since_seconds'),
    signalToLive: metrics.histogram('plateau_draft_signal_to_live_seconds'),
    rejectedVersions: metrics.counter('plateau_draft_versions_rejected_total'),
    rolledBack: metrics.counter('plateau_draft_rollbacks_total'),
    unusualResponses: metrics.counter('plateau_unusual_responses_total'),
    unreported: metrics.counter('plateau_acceptance_report_failures_total'),
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
  metrics.gauge('plateau_requests_running').observe(() => [[{}, read.running()]])
  metrics.gauge('plateau_requests_waiting').observe(() => [[{}, read.waiting()]])
  metrics.gauge('plateau_draft_version').observe(() => [[{}, read.liveVersion()]])
  metrics.gauge('plateau_speculation_on').observe(() => [[{}, read.proposal() > 0 ? 1 : 0]])
  metrics.gauge('plateau_speculation_proposal').observe(() => [[{}, read.proposal()]])
  metrics.gauge('plateau_speculation_break_even_acceptance').observe(() => [[{}, read.breakEven() ?? Number.NaN]])
  metrics.gauge('plateau_spec_decode_recent_acceptance').observe(() =>
    read.acceptance().flatMap(({ tenant, domain, short, long }) => [
      [{ tenant, domain, over: 'short' }, short],
      [{ tenant, domain, over: 'long' }, long],
    ]),
  )
  metrics.gauge('plateau_target_connected').observe(() => [[{}, read.targetConnected() ? 1 : 0]])
}
