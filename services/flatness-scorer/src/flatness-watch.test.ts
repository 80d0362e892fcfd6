import { Drift, DriftKind, topics, type TokenWindow } from '@plateau/contracts'
import type { EventLog, LogRecord, NewRecord } from '@plateau/event-log'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FlatnessWatch } from './flatness-watch.js'
import { declareScorerMetrics } from './metrics.js'
import { recordOf, scoreAll, scorerOn, TestLog, windowOf } from './testing.js'

const { DRIFT_KIND_FLATNESS_SHIFTED: SHIFTED, DRIFT_KIND_FLATNESS_SETTLED: SETTLED } = DriftKind
const FLAT = new Float32Array(64).fill(0.5)
const PEAKED = new Float32Array(64).fill(0.02)
const made = { nowMs: 5, traceparent: undefined }

function watching() {
  const metrics = declareScorerMetrics(new MetricRegistry())
  const watch = new FlatnessWatch({ lineage: 'ours', server: 'here', metrics, logger: silentLogger })
  let windows = 0
  /** So many windows; what was said of them. */
  const see = (flatness: Float32Array, count: number, domain = 'chat'): Drift[] =>
    Array.from({ length: count }, () =>
      watch.observe({ sampleId: 's', windowIndex: windows++, domain }, flatness, made),
    )
      .flat()
      .map(({ value }) => Drift.decode(value!))
  return { watch, see, psi: (domain: string) => metrics.flatnessPsi.value({ domain }) }
}

const said = (drifts: readonly Drift[]) => drifts.map(({ kind, domain }) => [kind, domain])

describe('the watch of flatness', () => {
  it('says once that the traffic shifted, of all and of the domain, and once that it settled', () => {
    const { see, psi } = watching()
    expect(see(PEAKED, 200)).toEqual([])
    expect(psi('chat')).toBeCloseTo(0)
    const shifted = see(FLAT, 40)
    expect(said(shifted)).toEqual([
      [SHIFTED, ''],
      [SHIFTED, 'chat'],
    ])
    expect(shifted[1]).toMatchObject({
      schemaVersion: 1,
      lineage: 'ours',
      tenant: '',
      reason: expect.stringMatching(/index 0\.\d+ over \d+ positions, in domain "chat"$/) as string,
      threshold: 0.25,
      reference: 0,
      sampleId: '',
      server: 'here',
      atMs: 5,
    })
    expect(shifted[1]!.value).toBeGreaterThanOrEqual(0.25)
    expect(psi('')).toBeGreaterThan(0.25)
    expect(said(see(PEAKED, 400))).toEqual([
      [SETTLED, ''],
      [SETTLED, 'chat'],
    ])
  })

  it('keeps domains apart: one that came to be more of the traffic has not shifted itself', () => {
    const { see } = watching()
    for (let i = 0; i < 100; i++) see(PEAKED, 4, 'chat').concat(see(FLAT, 1, 'code'))
    expect(said(see(FLAT, 100, 'code'))).toEqual([[SHIFTED, '']])
  })

  it('watches traffic without a domain as part of all traffic only', () => {
    const { see } = watching()
    see(PEAKED, 200, '')
    expect(said(see(FLAT, 100, ''))).toEqual([[SHIFTED, '']])
  })

  it('tells 32 domains apart: those that come later are one', () => {
    const { see, psi } = watching()
    for (let i = 0; i < 40; i++) see(PEAKED, 100, `d${i}`)
    expect([psi('d31'), psi('d32'), psi('other')]).toEqual([expect.closeTo(0), undefined, expect.closeTo(0)])
    expect(said(see(FLAT, 100, 'd39'))).toContainEqual([SHIFTED, 'other'])
  })

  it('goes on from what a process before it scored, says nothing of it, and takes it once', () => {
    const { watch, see } = watching()
    const scored = Array.from({ length: 200 }, () => ({ domain: 'chat', flatness: [...PEAKED] }))
    watch.remember(0, scored)
    watch.remember(
      0,
      scored.map((window) => ({ ...window, flatness: [...FLAT] })),
    )
    expect(see(PEAKED, 10)).toEqual([])
    expect(said(see(FLAT, 40))).toContainEqual([SHIFTED, 'chat'])
  })

  it('is not stopped by what others wrote into the public topic', () => {
    const { watch, psi } = watching()
    watch.remember(0, [{ domain: 'chat', flatness: [0, Number.NaN, -1] }])
    expect(psi('')).toBe(0)
  })
})

describe('from log to log', () => {
  let test: TestLog
  beforeEach(async () => {
    test = await new TestLog().prepare()
  })
  afterEach(() => test.close())

  /** Of one response, so that all of it lies in one partition: 3,000 peaked windows, then 1,000 flat ones of 3 positions. */
  const shifting: TokenWindow[] = Array.from({ length: 4000 }, (_, windowIndex) =>
    windowOf('one', { windowIndex, top1: windowIndex < 3000 ? 0.95 : 0.4 }),
  )
  const drifts = (): Promise<LogRecord[]> => test.records(topics.drift.name)
  const decoded = async (): Promise<Drift[]> => (await drifts()).map(({ value }) => Drift.decode(value!))

  it('a shift is a record of the lineage, named by the window that showed it', async () => {
    await test.publish(shifting.map(recordOf))
    const metrics = await scoreAll(test, { lineage: 'ours' })
    expect(said(await decoded())).toEqual([
      [SHIFTED, ''],
      [SHIFTED, 'domain'],
    ])
    const found = await drifts()
    expect(new Set(found.map(({ key }) => key))).toEqual(new Set(['ours']))
    expect(found.map(({ headers }) => headers['ce_id']!.replace(/\d+$/, 'N'))).toEqual([
      'flatness::one:N',
      'flatness:domain:one:N',
    ])
    expect(found[0]!.headers['traceparent']).toContain('0af7651916cd43dd8448eb211c80319c')
    expect(metrics.flatnessPsi.value({ domain: '' })).toBeGreaterThan(0.1)
  })

  it('windows that come again repeat nothing, also when the process died before they were committed', async () => {
    await test.publish(shifting.map(recordOf))
    const { scorer } = scorerOn(dyingAfterDrift(test.log))
    await expect(scorer.run()).rejects.toThrow('killed')
    await scorer.close(20_000)
    expect(await drifts()).toHaveLength(1)
    await scoreAll(test)
    expect((await test.scored()).map(({ windowIndex }) => windowIndex)).toEqual(shifting.map((_, i) => i))
    const ids = (await drifts()).map(({ headers }) => headers['ce_id'])
    expect(new Set(ids).size).toBe(ids.length)
    expect(said(await decoded()).filter(([, domain]) => domain === '')).toEqual([[SHIFTED, '']])
  })

  /** The process dies when the first record of the topic is durable. */
  function dyingAfterDrift(log: EventLog): EventLog {
    let isDead = false
    return new Proxy(log, {
      get(target, name) {
        if (name !== 'producer') return Reflect.get(target, name).bind(target)
        return () => {
          const producer = target.producer()
          const send = async (topic: string, records: readonly NewRecord[]) => {
            if (isDead) throw new Error('killed')
            isDead = topic === topics.drift.name
            const appended = await producer.send(topic, isDead ? records.slice(0, 1) : records)
            if (isDead) throw new Error('killed')
            return appended
          }
          return { send, bytesInFlight: 0, flush: () => producer.flush(), close: () => producer.close() }
        }
      },
    })
  }
})
