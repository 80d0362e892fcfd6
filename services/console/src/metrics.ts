import type { Metrics } from '@plateau/telemetry'

export function declareConsoleMetrics(metrics: Metrics) {
  return {
    records: metrics.counter<'topic' | 'result'>({
      name: 'plateau_console_records_total',
      help: 'Records read, by what became of them: applied, duplicate (delivered before) or malformed (passed over).',
      labels: ['topic', 'result'],
    }),
    answers: metrics.counter<'status'>({
      name: 'plateau_console_answers_total',
      help: 'Answers to requests, by HTTP status.',
      labels: ['status'],
    }),
    streams: metrics.gauge({
      name: 'plateau_console_event_streams',
      help: 'Pages that are open and told of changes.',
    }),
  }
}

export type ConsoleMetrics = ReturnType<typeof declareConsoleMetrics>
