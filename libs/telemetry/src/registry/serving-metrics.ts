import type { MetricTable } from './declarations.js'

const DRAFT_VERSION = 'version of the draft, or "prompt-lookup" for copies from the text'
const TENANT =
  'whose request: of the API key, else X-Plateau-Tenant or `user`; "other" for those beyond PLATEAU_MAX_TENANTS, empty where nobody said'
const LATENCY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const

/**
 * The spec_decode names and conventions are vLLM's:
 *   acceptance rate = accepted / draft tokens; mean acceptance length = 1 + accepted / drafts (with the bonus token).
 * alpha = sum of min(p, q) per judged position, raw distributions; its mean = alpha_sum / alpha_positions. It is higher
 * than the acceptance rate, which counts proposals that were never judged.
 */
export const servingMetrics = {
  plateau_spec_decode_num_drafts_total: {
    kind: 'counter',
    unit: '{round}',
    help: 'Rounds in which the draft proposed something.',
    labels: {
      draft_version: DRAFT_VERSION,
      tenant: TENANT,
    },
  },
  plateau_spec_decode_num_draft_tokens_total: {
    kind: 'counter',
    unit: '{token}',
    help: 'Proposed tokens.',
    labels: {
      draft_version: DRAFT_VERSION,
      tenant: TENANT,
    },
  },
  plateau_spec_decode_num_accepted_tokens_total: {
    kind: 'counter',
    unit: '{token}',
    help: 'Accepted proposed tokens, without bonus or recovered ones.',
    labels: {
      draft_version: DRAFT_VERSION,
      tenant: TENANT,
    },
  },
  plateau_spec_decode_num_accepted_tokens_per_pos_total: {
    kind: 'counter',
    unit: '{token}',
    help: 'Accepted proposed tokens by their place.',
    labels: {
      draft_version: DRAFT_VERSION,
      position: 'place within the proposal, from 0',
    },
  },
  plateau_spec_decode_alpha_sum_total: {
    kind: 'counter',
    unit: '1',
    help: 'Sum of alpha = sum of min(p, q) over judged positions.',
    labels: {
      draft_version: DRAFT_VERSION,
      tenant: TENANT,
    },
  },
  plateau_spec_decode_alpha_positions_total: {
    kind: 'counter',
    unit: '1',
    help: 'Judged positions whose alpha is known.',
    labels: {
      draft_version: DRAFT_VERSION,
      tenant: TENANT,
    },
  },
  plateau_generation_tokens_total: {
    kind: 'counter',
    unit: '{token}',
    help: 'Tokens generated for clients, with speculation or without.',
    labels: {
      draft_version: DRAFT_VERSION,
      tenant: TENANT,
    },
  },
  plateau_prompt_tokens_total: {
    kind: 'counter',
    unit: '{token}',
    help: 'Prompt tokens of requests that were started.',
    labels: {
      tenant: TENANT,
    },
  },
  plateau_requests_total: {
    kind: 'counter',
    unit: '{request}',
    help: 'Requests by how they ended. One of n choices counts as n.',
    labels: {
      outcome: 'stop, length, cancelled, rejected or failed',
      tenant: TENANT,
    },
  },
  plateau_requests_refused_total: {
    kind: 'counter',
    unit: '{request}',
    help: 'Requests told to come back later (429), by the limit they reached.',
    labels: {
      tenant: TENANT,
      reason: 'requests_per_minute, tokens_per_minute, concurrency (quotas), queue_full, queue_wait or target',
    },
  },
  plateau_target_streams_lost_total: {
    kind: 'counter',
    unit: '{stream}',
    help: 'Responses that the target broke off after their first token.',
  },
  plateau_time_to_first_token_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'From the arrival of a request to its first token, waiting included.',
    buckets: LATENCY_SECONDS,
  },
  plateau_inter_token_latency_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time of a round divided by the tokens it emitted, one observation for each token.',
    buckets: LATENCY_SECONDS,
  },
  plateau_speculative_round_seconds_total: {
    kind: 'counter',
    unit: 's',
    help: 'Time of rounds that verified a proposal.',
    labels: {
      part: 'draft (proposing), target (its engine) or other',
    },
  },
  plateau_draft_errors_total: {
    kind: 'counter',
    unit: '{failure}',
    help: 'Failures of a draft while proposing; the response went on without it.',
  },
  plateau_draft_swaps_total: {
    kind: 'counter',
    unit: '{swap}',
    help: 'Times that new requests were given another version.',
  },
  plateau_draft_swap_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'From the arrival of a version that went live until new requests were given it: reading, building, probing, comparing.',
    buckets: [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800],
  },
  plateau_draft_signal_to_live_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'From the capture of the newest window that the training of a version had seen until new requests were given it.',
    buckets: [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600],
  },
  plateau_draft_live_since_seconds: {
    kind: 'gauge',
    unit: 's',
    help: 'When the version that new requests use went live here, in Unix time; 0 while there is none.',
  },
  plateau_draft_versions_rejected_total: {
    kind: 'counter',
    unit: '{version}',
    help: 'Announced versions, or records, that were refused.',
  },
  plateau_draft_rollbacks_total: {
    kind: 'counter',
    unit: '{swap}',
    help: 'Live versions that were taken off traffic because they were worse, failed, or an operator said so.',
  },
  plateau_unusual_responses_total: {
    kind: 'counter',
    unit: '{response}',
    help: 'Responses of which hardly anything or all but everything was accepted.',
    labels: {
      acceptance: 'very-low, or very-high, as of text that repeats itself',
      tenant: TENANT,
    },
  },
  plateau_acceptance_report_failures_total: {
    kind: 'counter',
    unit: '{failure}',
    help: 'Times that the acceptance topic took no records; they were kept for the next report.',
  },
  plateau_requests_running: {
    kind: 'gauge',
    unit: '{request}',
    help: 'Responses being generated.',
  },
  plateau_requests_waiting: {
    kind: 'gauge',
    unit: '{request}',
    help: 'Requests waiting for their turn.',
  },
  plateau_draft_version: {
    kind: 'gauge',
    unit: '1',
    help: 'Version that new requests use; 0 = none.',
  },
  plateau_speculation_on: {
    kind: 'gauge',
    unit: '1',
    help: '1 while speculation pays, else 0.',
  },
  plateau_speculation_proposal: {
    kind: 'gauge',
    unit: '{token}',
    help: 'Tokens proposed in a round at present; 0 = off.',
  },
  plateau_speculation_break_even_acceptance: {
    kind: 'gauge',
    unit: '1',
    help: 'Acceptance of one proposed token above which proposing pays; NaN until measured.',
  },
  plateau_spec_decode_recent_acceptance: {
    kind: 'gauge',
    unit: '1',
    help: 'Accepted / judged proposals of drafts, fading.',
    labels: {
      tenant: TENANT,
      domain: 'domain of the requests; empty: not said',
      over: 'short: some 1,000 proposals; long: 20,000',
    },
  },
  plateau_target_connected: {
    kind: 'gauge',
    unit: '1',
    help: '1 while the target answers.',
  },
} as const satisfies MetricTable
