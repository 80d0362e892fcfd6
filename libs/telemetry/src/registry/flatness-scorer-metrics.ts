import type { MetricTable } from './declarations.js'

export const flatnessScorerMetrics = {
  plateau_scorer_windows_total: {
    kind: 'counter',
    unit: '{window}',
    help: 'Windows decided. Redeliveries are not counted again.',
    labels: {
      arm: 'selected, control or evaluation',
      decision: 'keep or drop',
    },
  },
  plateau_scorer_tokens_total: {
    kind: 'counter',
    unit: '{token}',
    help: 'Response tokens in the windows decided.',
  },
  plateau_scorer_positions_total: {
    kind: 'counter',
    unit: '{position}',
    help: 'Response positions decided, one by one: kept / all is the share that gradients may use.',
    labels: {
      arm: 'selected, control or evaluation',
      domain: 'X-Plateau-Domain of the request; empty: not said',
      decision: 'keep or drop',
    },
  },
  plateau_scorer_kept_by_trial_windows_total: {
    kind: 'counter',
    unit: '{window}',
    help: 'Windows, the evaluation arm left out, that a rule under trial would have kept.',
    labels: {
      rule: 'name of the keep rule',
    },
    stability: 'development',
  },
  plateau_scorer_redelivered_windows_total: {
    kind: 'counter',
    unit: '{window}',
    help: 'Windows seen again whose recorded decision was used.',
  },
  plateau_scorer_dead_lettered_total: {
    kind: 'counter',
    unit: '{record}',
    help: 'Records that could not be used and went to the dead-letter topic.',
    labels: {
      reason: 'code of the error',
    },
  },
  plateau_scorer_threshold: {
    kind: 'gauge',
    unit: '1',
    help: 'Score that a window of the selected arm needs to be kept; NaN during warm-up.',
    labels: {
      partition: 'number of the partition',
    },
  },
  plateau_scorer_kept_share: {
    kind: 'gauge',
    unit: '1',
    help: 'Share of the selected arm that was kept, averaged over about the last 256 windows; of a window of which single positions are kept, their share.',
    labels: {
      partition: 'number of the partition',
    },
  },
  plateau_scorer_window_flatness: {
    kind: 'histogram',
    unit: '1',
    help: 'Mean flatness of a window, 1 / (sqrt(V) ||p||): 1/sqrt(V) is certain, 1 is uniform. Arms that differ were not drawn by chance.',
    labels: {
      arm: 'selected, control or evaluation',
    },
    buckets: [0.004, 0.008, 0.012, 0.016, 0.024, 0.032, 0.048, 0.064, 0.096, 0.128, 0.192, 0.256, 0.5, 1],
  },
  plateau_scorer_flatness_psi: {
    kind: 'gauge',
    unit: '1',
    help: 'Population stability index of the flatness of recent positions against a longer time: above 0.25 the traffic is another, below 0.1 nothing happened.',
    labels: {
      domain: 'domain of the windows; empty: all traffic',
    },
  },
  plateau_scorer_batch_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time from taking a batch to its commit.',
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
  },
  plateau_scorer_policy_updates_total: {
    kind: 'counter',
    unit: '{record}',
    help: 'Records of the selection-policy topic for this lineage.',
    labels: {
      result: 'applied or refused',
    },
  },
} as const satisfies MetricTable
