import type { MetricTable } from './declarations.js'

export const consoleMetrics = {
  plateau_console_records_total: {
    kind: 'counter',
    unit: '{record}',
    help: 'Records read.',
    labels: {
      topic: 'name of the topic',
      result: 'applied, duplicate (delivered before) or malformed (passed over)',
    },
  },
  plateau_console_answers_total: {
    kind: 'counter',
    unit: '{request}',
    help: 'Answers to requests.',
    labels: {
      status: 'HTTP status',
    },
  },
  plateau_console_event_streams: {
    kind: 'gauge',
    unit: '{stream}',
    help: 'Pages that are open and told of changes.',
  },
} as const satisfies MetricTable
