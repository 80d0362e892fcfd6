import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog } from '@plateau/event-log'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { expect, onTestFinished, test } from 'vitest'
import { HealthBoard, watchConsumer, watchLag } from './index.js'

/** One partition of a topic whose offsets a test moves. */
function heldLog() {
  const at = { earliest: 0, next: 0, committed: -1, fails: false }
  const log = {
    offsets: async () => {
      if (at.fails) throw new Error('away')
      return [{ partition: 0, earliest: at.earliest, next: at.next }]
    },
    committed: async () => [{ partition: 0, offset: at.committed }],
  } as unknown as EventLog
  return { at, log }
}

async function watched() {
  const { at, log } = heldLog()
  const metrics = new MetricRegistry()
  const warnings: unknown[] = []
  const logger = { ...silentLogger, warn: (message: string, fields = {}) => void warnings.push([message, fields]) }
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const valueOf = (name: string): number => {
    const metric = [...metrics.declared()].find(({ spec }) => spec.name === name)!
    return ([...metric.collect()][0]?.value as number | undefined) ?? 0
  }
  const options = { log, group: 'group', topic: 'topic', metrics, logger, signal: stop.signal, everyMs: 2 }
  return {
    at,
    warnings,
    start: () => watchLag(options),
    lag: () => valueOf('plateau_consumer_lag_records'),
    expired: () => valueOf('plateau_consumer_expired_records_total'),
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (const giveUpAt = performance.now() + 10_000; !condition(); await sleep(2)) {
    if (performance.now() > giveUpAt) throw new Error(`still not so: ${String(condition)}`)
  }
}

test('the lag is what lies between the commit and the end, and follows both', async () => {
  const { at, start, lag, expired } = await watched()
  Object.assign(at, { next: 10, committed: 4 })
  await start()
  expect(lag()).toBe(6)
  at.committed = 10
  await until(() => lag() === 0)
  at.next = 13
  await until(() => lag() === 3)
  expect(expired()).toBe(0)
})

test('what expired unread is counted once, however long it stands, and said', async () => {
  const { at, warnings, start, lag, expired } = await watched()
  Object.assign(at, { earliest: 5, next: 20, committed: 2 })
  await start()
  expect(expired()).toBe(3)
  expect(lag()).toBe(15)
  at.earliest = 7
  await until(() => expired() === 5)
  Object.assign(at, { committed: 7, earliest: 9 })
  await until(() => expired() === 7)
  expect(warnings).toHaveLength(3)
  expect(warnings[0]).toMatchObject([expect.stringContaining('expired'), { records: 3, partition: '0' }])
})

test('a log that is away leaves the numbers as they were', async () => {
  const { at, start, lag } = await watched()
  Object.assign(at, { next: 10, committed: 4 })
  await start()
  at.fails = true
  await sleep(20)
  expect(lag()).toBe(6)
  Object.assign(at, { fails: false, committed: 5 })
  await until(() => lag() === 5)
})

test('a consumer that hears nothing from the log is not ready first, and not alive in the end', () => {
  let nowMs = 0
  const health = new HealthBoard(() => nowMs)
  const consumer = watchConsumer(health, () => nowMs, 300_000)
  expect([health.readiness().ok, health.liveness().ok]).toEqual([true, true])
  nowMs = 20_000
  expect(health.readiness()).toEqual({ ok: false, reasons: { 'event log': 'has not answered for 20 s' } })
  expect(health.liveness().ok).toBe(true)
  consumer.onAlive()
  expect(health.readiness().ok).toBe(true)
  nowMs += 400_000
  expect(health.liveness().ok).toBe(false)
  consumer.done()
  expect([health.readiness().ok, health.liveness().ok]).toEqual([true, true])
})
