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
      help: 'Share of the selected arm that was kept, averaged over about the last 256 windows.',
      labels: ['partition'],
    }),
    flatness: metrics.histogram({
      name: 'plateau_scorer_window_flatness',
      help: 'Mean flatness of a window, 1 / (sqrt(V) ||p||): 1/sqrt(V) is certain, 1 is uniform.',
      buckets: [0.004, 0.008, 0.012, 0.016, 0.024, 0.032, 0.048, 0.064, 0.096, 0.128, 0.192, 0.256, 0.5, 1],
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
