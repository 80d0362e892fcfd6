import type { Metrics } from '@plateau/telemetry'

export function declareConsoleMetrics(metrics: Metrics) {
  return {
    records: metrics.counter('plateau_console_records_total'),
    answers: metrics.counter('plateau_console_answers_total'),
    streams: metrics.gauge('plateau_console_event_streams'),
  }
}

export type ConsoleMetrics = ReturnType<typeof declareConsoleMetrics>
