import type { Metrics } from '@plateau/telemetry'

export type TargetMetrics = ReturnType<typeof declareTargetMetrics>

/** Why a captured window did not reach the event log. */
export type ShedReason = 'queue_full' | 'too_large' | 'refused' | 'shutdown'

/** What a redaction did to a captured window that it did not leave as it was. */
export type RedactionResult = 'changed' | 'dropped' | 'failed'

/** Every metric of target-model, declared once. */
export function declareTargetMetrics(metrics: Metrics) {
  return {
    requests: metrics.counter<'method' | 'code'>({
      name: 'plateau_target_requests_total',
      help: 'Calls that ended, by method and code (OK, CANCELLED for a client that left, or the error code).',
      labels: ['method', 'code'],
    }),
    tokens: metrics.counter<'method'>({
      name: 'plateau_target_tokens_total',
      help: 'Response tokens emitted, by method (generate, speculate).',
      labels: ['method'],
    }),
    stepSeconds: metrics.histogram<'positions'>({
      name: 'plateau_target_step_seconds',
      help: 'Time of the runs that a step took part in, by positions computed; "prompt" for a prompt, "score" for Score.',
      labels: ['positions'],
      buckets: [0.001, 0.002, 0.003, 0.004, 0.006, 0.008, 0.012, 0.016, 0.024, 0.032, 0.05, 0.1, 0.3, 1, 3],
    }),
    runSequences: metrics.histogram({
      name: 'plateau_target_run_sequences',
      help: 'Responses that one run of the engine computed together.',
      buckets: [1, 2, 3, 4, 6, 8, 12, 16, 32, 64],
    }),
    runTokens: metrics.counter({
      name: 'plateau_target_run_tokens_total',
      help: 'Positions that runs computed, prompts included.',
    }),
    runSeconds: metrics.counter<'part'>({
      name: 'plateau_target_run_seconds_total',
      help: 'Time of runs by part: engine, and host for planning, feeding and storing around it.',
      labels: ['part'],
    }),
    stepsWaiting: metrics.gauge({
      name: 'plateau_target_steps_waiting',
      help: 'Steps that the newest run left for a later one.',
    }),
    cacheBytes: metrics.gauge<'state'>({
      name: 'plateau_target_cache_bytes',
      help: 'Memory for keys and values: used, of which prefixes are kept prompt beginnings; reserved; and the budget.',
      labels: ['state'],
    }),
    reusedTokens: metrics.gauge({
      name: 'plateau_target_reused_prompt_tokens',
      help: 'Prompt tokens since the start whose keys and values were found instead of computed.',
    }),
    sequences: metrics.gauge<'state'>({
      name: 'plateau_target_sequences',
      help: 'Responses in hand, by state (active, waiting).',
      labels: ['state'],
    }),
    captured: metrics.counter({
      name: 'plateau_target_windows_captured_total',
      help: 'Windows of consented responses, whatever became of them: published, shed or still queued.',
    }),
    shed: metrics.counter<'reason'>({
      name: 'plateau_target_windows_shed_total',
      help: 'Captured windows given up so that no request waits, by reason (queue_full, too_large, refused, shutdown).',
      labels: ['reason'],
    }),
    redacted: metrics.counter<'result'>({
      name: 'plateau_capture_redacted_total',
      help: 'Windows that the redaction module changed, dropped, or failed on (not published either), by result.',
      labels: ['result'],
    }),
    published: metrics.counter({
      name: 'plateau_target_windows_published_total',
      help: 'Captured windows that the event log has acknowledged.',
    }),
    queueBytes: metrics.gauge({
      name: 'plateau_target_capture_queue_bytes',
      help: 'Bytes of captured windows that the event log has not acknowledged.',
    }),
  }
}
