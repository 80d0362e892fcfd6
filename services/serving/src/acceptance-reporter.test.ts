import { Acceptance } from '@plateau/contracts'
import type { NewRecord, Producer } from '@plateau/event-log'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { expect, it } from 'vitest'
import { AcceptanceLedger } from './acceptance-ledger.js'
import { AcceptanceReporter } from './acceptance-reporter.js'
import { BoundedLabels } from './bounded-labels.js'
import { declareServingMetrics } from './serving-metrics.js'

function setUp() {
  const metrics = declareServingMetrics(new MetricRegistry())
  const [tenants, domains] = [new BoundedLabels(4), new BoundedLabels(4)]
  const ledger = new AcceptanceLedger({ metrics, tenants, domains, maxVersions: 4 })
  const sent: NewRecord[] = []
  const log = { down: false, nowMs: 1_000, failures: 0 }
  const producer = {
    send: async (_: string, records: readonly NewRecord[]) => {
      if (log.down) throw new Error('disk full')
      sent.push(...records)
      return []
    },
  } as unknown as Producer
  const reporter = new AcceptanceReporter({
    ledger,
    producer,
    lineage: 'default',
    server: 'here',
    intervalMs: 1_000,
    logger: silentLogger,
    clock: () => log.nowMs,
    onFailure: () => (log.failures += 1),
  })
  const round = (version: string) =>
    ledger.round(ledger.share(version, 'a', 'code'), {
      tokens: [1, 2],
      proposed: 2,
      accepted: 1,
      alpha: [0.5],
      finish: 0,
    })
  return { log, reporter, round, records: () => sent.map(({ key, value }) => ({ key, ...Acceptance.decode(value!) })) }
}

it('one record a version, tenant and domain, keyed by version, over the time since the last report', async () => {
  const { log, reporter, round, records } = setUp()
  round('1')
  round('2')
  round('2')
  log.nowMs = 2_000
  await reporter.report()
  await reporter.report() // nothing new: no record
  const common = { lineage: 'default', server: 'here', tenant: 'a', domain: 'code', fromMs: 1_000, toMs: 2_000 }
  expect(records()).toMatchObject([
    { key: '1', ...common, draftVersion: '1', numDrafts: 1, numEmittedTokens: 2 },
    { key: '2', ...common, draftVersion: '2', numDrafts: 2, numAcceptedTokens: 2, numAcceptedTokensPerPos: [2, 0] },
  ])
})

it('what the log did not take is in the next report, over the whole time', async () => {
  const { log, reporter, round, records } = setUp()
  log.down = true
  round('1')
  log.nowMs = 2_000
  await reporter.report()
  expect([records().length, log.failures]).toEqual([0, 1])
  log.down = false
  round('1')
  log.nowMs = 3_000
  await reporter.close()
  expect(records()).toMatchObject([{ fromMs: 1_000, toMs: 3_000, numDrafts: 2 }])
})
