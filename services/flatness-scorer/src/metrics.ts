import type { Metrics } from '@plateau/telemetry'

export type ScorerMetrics = ReturnType<typeof declareScorerMetrics>

/** Every metric of the scorer, declared once. */
export function declareScorerMetrics(metrics: Metrics) {
  return {
    windows: metrics.counter('plateau_scorer_windows_total'),
    tokens: metrics.counter('plateau_scorer_tokens_total'),
    positions: metrics.counter('plateau_scorer_positions_total'),
    keptByTrial: metrics.counter('plateau_scorer_kept_by_trial_windows_total'),
    redelivered: metrics.counter('plateau_scorer_redelivered_windows_total'),
    deadLettered: metrics.counter('plateau_scorer_dead_lettered_total'),
    threshold: metrics.gauge('plateau_scorer_threshold'),
    keptShare: metrics.gauge('plateau_scorer_kept_share'),
    flatness: metrics.histogram('plateau_scorer_window_flatness'),
    flatnessPsi: metrics.gauge('plateau_scorer_flatness_psi'),
    batchSeconds: metrics.histogram('plateau_scorer_batch_seconds'),
    policyUpdates: metrics.counter('plateau_scorer_policy_updates_total'),
  }
}
