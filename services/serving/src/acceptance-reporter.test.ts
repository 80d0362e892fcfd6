import { Acceptance, decodeHeaders, PlateauError } from '@plateau/contracts'
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
  const log = { down: false, hangs: false, writesAnyway: false, nowMs: 1_000, failures: 0 }
  const producer = {
    send: async (_: string, records: readonly NewRecord[]) => {
      if (!log.down || log.writesAnyway) sent.push(...records)
      if (log.hangs) await new Promise(() => {})
      if (log.down) throw new PlateauError('LOG_UNAVAILABLE', 'no answer', { retryable: true })
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
      source: 'draft',
      proposed: 2,
      accepted: 1,
      judged: 1,
      alpha: [0.5],
      finish: 0,
    })
  return {
    log,
    reporter,
    round,
    records: () => sent.map(({ key, value }) => ({ key, ...Acceptance.decode(value!) })),
    ids: () => sent.map(({ headers }) => decodeHeaders(headers)!.id),
  }
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

it('a record that was tried stays as it is until the log has it; later counts go into the next one', async () => {
  const { log, reporter, round, records, ids } = setUp()
  // The worst case: the log has it, and cannot say so.
  Object.assign(log, { down: true, writesAnyway: true })
  for (const at of [2_000, 3_000, 4_000]) {
    round('1')
    log.nowMs = at
    await reporter.report()
  }
  expect(log.failures).toBe(3)
  log.down = false
  log.nowMs = 5_000
  await reporter.close(10_000)
  const first = { fromMs: 1_000, toMs: 2_000, numDrafts: 1 }
  expect(records()).toMatchObject([first, first, first, first, { fromMs: 2_000, toMs: 5_000, numDrafts: 2 }])
  // Added up by ce_id, as the topic's page says, every round counts once.
  const byId = new Map(records().map((record, i) => [ids()[i], record.numDrafts]))
  expect([...byId.values()]).toEqual([1, 2])
})

it('a log that is away for long costs nothing but time: what waits is one interval and the counters', async () => {
  const { log, reporter, round, records } = setUp()
  log.down = true
  for (let i = 0; i < 50; i++) {
    round('1')
    log.nowMs += 1_000
    await reporter.report()
  }
  log.down = false
  await reporter.close(10_000)
  expect(records().map(({ numDrafts }) => numDrafts)).toEqual([1, 49])
})

it('a shutdown waits only so long for a log that does not answer, whatever waits already', async () => {
  const { log, reporter, round } = setUp()
  log.hangs = true
  round('1')
  void reporter.report()
  round('2')
  await reporter.close(10)
  expect(log.failures).toBe(2)
})
