import type { Metrics } from '@plateau/telemetry'

export type TargetMetrics = ReturnType<typeof declareTargetMetrics>

/** Why a captured window did not reach the event log. */
export type ShedReason = 'queue_full' | 'too_large' | 'refused' | 'shutdown'

/** What a redaction did to a captured window that it did not leave as it was. */
export type RedactionResult = 'changed' | 'dropped' | 'failed'

/** Every metric of target-model, declared once. */
export function declareTargetMetrics(metrics: Metrics) {
  return {
    requests: metrics.counter('plateau_target_requests_total'),
    tokens: metrics.counter('plateau_target_tokens_total'),
    stepSeconds: metrics.histogram('plateau_target_step_seconds'),
    runSequences: metrics.histogram('plateau_target_run_sequences'),
    runTokens: metrics.counter('plateau_target_run_tokens_total'),
    runSeconds: metrics.counter('plateau_target_run_seconds_total'),
    stepsWaiting: metrics.gauge('plateau_target_steps_waiting'),
    cacheBytes: metrics.gauge('plateau_target_cache_bytes'),
    reusedTokens: metrics.gauge('plateau_target_reused_prompt_tokens'),
    sequences: metrics.gauge('plateau_target_sequences'),
    captured: metrics.counter('plateau_target_windows_captured_total'),
    shed: metrics.counter('plateau_target_windows_shed_total'),
    redacted: metrics.counter('plateau_capture_redacted_total'),
    published: metrics.counter('plateau_target_windows_published_total'),
    queueBytes: metrics.gauge('plateau_target_capture_queue_bytes'),
  }
}
