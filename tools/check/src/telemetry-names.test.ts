import { expect, test } from 'vitest'
import { telemetryProblems } from './telemetry-names.ts'

const names = { metrics: ['plateau_swaps_total', 'plateau_wait_seconds'], others: ['publish version'] }
const used =
  "metrics.counter('plateau_swaps_total'); metrics.histogram('plateau_wait_seconds'); startSpan('publish version')"

test('what is declared must be used, outside tests and the registry itself', () => {
  expect(telemetryProblems(new Map([['libs/a/src/a.ts', used]]), names)).toEqual([])
  const elsewhere = ['libs/telemetry/src/registry/a.ts', 'services/a/src/a.test.ts', 'tools/a/src/a.ts']
  for (const path of elsewhere) expect(telemetryProblems(new Map([[path, used]]), names)).toHaveLength(3)
})

test('a metric that a dashboard, a rule or a tool names must exist', () => {
  const files = (text: string) =>
    new Map([
      ['libs/a/src/a.ts', used],
      ['deploy/rules.yaml', text],
    ])
  expect(telemetryProblems(files('rate(plateau_wait_seconds_bucket[5m]) > plateau_swaps_total'), names)).toEqual([])
  expect(telemetryProblems(files('sum by (le) (plateau_waits_seconds_bucket)'), names)).toEqual([
    'deploy/rules.yaml: there is no metric plateau_waits_seconds_bucket',
  ])
  // A prefix in a pattern, and a recording rule of one's own, are none.
  expect(telemetryProblems(files('{__name__=~"plateau_trainer_.*"} job:plateau_other:rate'), names)).toEqual([])
})
