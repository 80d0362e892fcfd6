import type { MetricTable } from './declarations.js'

export const targetModelMetrics = {
  plateau_target_requests_total: {
    kind: 'counter',
    unit: '{request}',
    help: 'Calls that ended.',
    labels: {
      method: 'method of the service',
      code: 'OK, CANCELLED for a client that left, or the code of the error',
    },
  },
  plateau_target_tokens_total: {
    kind: 'counter',
    unit: '{token}',
    help: 'Response tokens emitted.',
    labels: {
      method: 'generate or speculate',
    },
  },
  plateau_target_step_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time of the runs that a step took part in.',
    labels: {
      positions: 'positions computed; "prompt" for a prompt, "score" for Score',
    },
    buckets: [0.001, 0.002, 0.003, 0.004, 0.006, 0.008, 0.012, 0.016, 0.024, 0.032, 0.05, 0.1, 0.3, 1, 3],
  },
  plateau_target_run_sequences: {
    kind: 'histogram',
    unit: '{response}',
    help: 'Responses that one run of the engine computed together.',
    buckets: [1, 2, 3, 4, 6, 8, 12, 16, 32, 64],
  },
  plateau_target_run_tokens_total: {
    kind: 'counter',
    unit: '{token}',
    help: 'Positions that runs computed, prompts included.',
  },
  plateau_target_run_seconds_total: {
    kind: 'counter',
    unit: 's',
    help: 'Time of runs.',
    labels: {
      part: 'engine, or host for planning, feeding and storing around it',
    },
  },
  plateau_target_steps_waiting: {
    kind: 'gauge',
    unit: '{step}',
    help: 'Steps that the newest run left for a later one.',
  },
  plateau_target_cache_bytes: {
    kind: 'gauge',
    unit: 'By',
    help: 'Memory for keys and values.',
    labels: {
      state: 'used, of which prefixes are kept prompt beginnings; reserved; budget',
    },
  },
  plateau_target_reused_prompt_tokens: {
    kind: 'gauge',
    unit: '{token}',
    help: 'Prompt tokens since the start whose keys and values were found instead of computed.',
  },
  plateau_target_sequences: {
    kind: 'gauge',
    unit: '{response}',
    help: 'Responses in hand.',
    labels: {
      state: 'active or waiting',
    },
  },
  plateau_target_windows_captured_total: {
    kind: 'counter',
    unit: '{window}',
    help: 'Windows of consented responses, whatever became of them: published, shed or still queued.',
  },
  plateau_target_windows_shed_total: {
    kind: 'counter',
    unit: '{window}',
    help: 'Captured windows given up so that no request waits.',
    labels: {
      reason: 'queue_full, too_large, refused or shutdown',
    },
  },
  plateau_capture_redacted_total: {
    kind: 'counter',
    unit: '1',
    help: 'Windows that the redaction module changed, dropped, or failed on (not published either).',
    labels: {
      result: 'changed, dropped or failed',
    },
  },
  plateau_target_windows_published_total: {
    kind: 'counter',
    unit: '{window}',
    help: 'Captured windows that the event log has acknowledged.',
  },
  plateau_target_capture_queue_bytes: {
    kind: 'gauge',
    unit: 'By',
    help: 'Bytes of captured windows that the event log has not acknowledged.',
  },
} as const satisfies MetricTable
