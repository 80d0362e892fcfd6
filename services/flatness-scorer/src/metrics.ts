import type { Metrics } from '@plateau/telemetry'

export type ScorerMetrics = ReturnType<typeof declareScorerMetrics>

/** Every metric of the scorer, declared once. */
export function declareScorerMetrics(metrics: Metrics) {
  return {
    windows: metrics.counter<'arm' | 'decision'>({
      name: 'plateau_scorer_windows_total',
      help: 'Windows decided, by arm (selected, control, evaluation) and decision (keep, drop). Redeliveries are not counted again.',
      labels: ['arm', 'decision'],
    }),
    tokens: metrics.counter({
      name: 'plateau_scorer_tokens_total',
      help: 'Response tokens in the windows decided.',
    }),
    positions: metrics.counter<'arm' | 'domain' | 'decision'>({
      name: 'plateau_scorer_positions_total',
      help: 'Response positions decided, one by one, by arm, domain and decision (keep, drop): kept / all is the share that gradients may use.',
      labels: ['arm', 'domain', 'decision'],
    }),
    keptByTrial: metrics.counter<'rule'>({
      name: 'plateau_scorer_kept_by_trial_windows_total',
      help: 'Windows, the evaluation arm left out, that a rule under trial would have kept, by rule.',
      labels: ['rule'],
    }),
    redelivered: metrics.counter({
      name: 'plateau_scorer_redelivered_windows_total',
      help: 'Windows seen again whose recorded decision was used.',
    }),
    deadLettered: metrics.counter<'reason'>({
      name: 'plateau_scorer_dead_lettered_total',
      help: 'Records that could not be used and went to the dead-letter topic, by reason.',
      labels: ['reason'],
    }),
    threshold: metrics.gauge<'partition'>({
      name: 'plateau_scorer_threshold',
      help: 'Score that a window of the selected arm needs to be kept; NaN during warm-up.',
      labels: ['partition'],
    }),
    keptShare: metrics.gauge<'partition'>({
      name: 'plateau_scorer_kept_share',
      help: 'Share of the selected arm that was kept, averaged over about the last 256 windows; of a window of which single positions are kept, their share.',
      labels: ['partition'],
    }),
    flatness: metrics.histogram<'arm'>({
      name: 'plateau_scorer_window_flatness',
      help: 'Mean flatness of a window, 1 / (sqrt(V) ||p||), by arm: 1/sqrt(V) is certain, 1 is uniform. Arms that differ were not drawn by chance.',
      labels: ['arm'],
      buckets: [0.004, 0.008, 0.012, 0.016, 0.024, 0.032, 0.048, 0.064, 0.096, 0.128, 0.192, 0.256, 0.5, 1],
    }),
    flatnessPsi: metrics.gauge<'domain'>({
      name: 'plateau_scorer_flatness_psi',
      help: 'Population stability index of the flatness of recent positions against a longer time, by domain (empty: all traffic): above 0.25 the traffic is another, below 0.1 nothing happened.',
      labels: ['domain'],
    }),
    batchSeconds: metrics.histogram({
      name: 'plateau_scorer_batch_seconds',
      help: 'Time from taking a batch to its commit.',
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    }),
    policyUpdates: metrics.counter<'result'>({
      name: 'plateau_scorer_policy_updates_total',
      help: 'Records of the selection-policy topic for this lineage, by result (applied, refused).',
      labels: ['result'],
    }),
  }
}
