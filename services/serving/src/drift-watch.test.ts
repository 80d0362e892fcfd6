import { Drift, DriftKind, topics } from '@plateau/contracts'
import type { NewRecord } from '@plateau/event-log'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { describe, expect, it } from 'vitest'
import { BoundedLabels } from './bounded-labels.js'
import { DriftWatch } from './drift-watch.js'
import type { Outbox } from './outbox.js'
import { declareServingMetrics } from './serving-metrics.js'

function setUp() {
  const sent: NewRecord[] = []
  const outbox = {
    add: (topic: string, record: NewRecord) => (expect(topic).toBe(topics.drift.name), sent.push(record)),
  }
  const metrics = declareServingMetrics(new MetricRegistry())
  const [tenants, domains] = [new BoundedLabels(2), new BoundedLabels(2)]
  let nowMs = 0
  const watch = new DriftWatch({
    lineage: 'default',
    server: 'here',
    outbox: outbox as unknown as Outbox,
    metrics,
    tenants,
    domains,
    logger: silentLogger,
    clock: () => nowMs,
  })
  let samples = 0
  const answer = (accepted: number, judged: number, domain = 'chat', tenant = 'acme'): boolean => {
    const draft = { accepted, judged }
    return watch.finished({ sampleId: `s${samples++}`, tenant, domain, draft, all: { ...draft, rounds: judged / 4 } })
  }
  const findings = () => sent.map(({ value }) => Drift.decode(value!))
  return { watch, metrics, answer, findings, passMinute: () => (nowMs += 60_000) }
}

describe('acceptance', () => {
  it('that falls is said once with its numbers, and again when it has come back', () => {
    const { answer, findings, watch } = setUp()
    for (let i = 0; i < 200; i++) answer(24, 40)
    const fell = Array.from({ length: 60 }, () => answer(8, 40))
    expect(fell.filter(Boolean)).toHaveLength(1)
    expect(findings()).toMatchObject([
      {
        lineage: 'default',
        kind: DriftKind.DRIFT_KIND_ACCEPTANCE_FELL,
        tenant: 'acme',
        domain: 'chat',
        server: 'here',
        sampleId: '',
      },
    ])
    const [{ value, reference, reason }] = findings() as [Drift]
    expect(reference - value).toBeGreaterThan(0.1)
    expect(reason).toContain(value.toFixed(3))
    expect(watch.means()).toMatchObject([{ tenant: 'acme', domain: 'chat' }])
    expect(watch.means()[0]!.short).toBeLessThan(watch.means()[0]!.long)
    for (let i = 0; i < 200; i++) answer(24, 40)
    expect(findings().map(({ kind }) => kind)).toEqual([
      DriftKind.DRIFT_KIND_ACCEPTANCE_FELL,
      DriftKind.DRIFT_KIND_ACCEPTANCE_RECOVERED,
    ])
  })

  it('of one domain says nothing of another; names without end count as "other"', () => {
    const { answer, findings, watch } = setUp()
    for (let i = 0; i < 200; i++) for (const domain of ['chat', 'code']) answer(24, 40, domain)
    for (let i = 0; i < 60; i++) {
      answer(8, 40, 'chat')
      answer(24, 40, 'code')
    }
    expect(findings().map(({ domain }) => domain)).toEqual(['chat'])
    for (let i = 0; i < 20; i++) answer(24, 40, `domain ${i}`)
    expect(watch.means().map(({ domain }) => domain)).toEqual(['chat', 'code', 'other'])
  })
})

describe('a response', () => {
  it('of which hardly anything, or all but everything, was accepted is counted, and said with its id', () => {
    const { answer, findings, metrics } = setUp()
    answer(1, 80)
    answer(158, 160)
    answer(40, 80)
    expect(findings()).toMatchObject([
      { kind: DriftKind.DRIFT_KIND_ACCEPTANCE_VERY_LOW, sampleId: 's0', count: 80 },
      { kind: DriftKind.DRIFT_KIND_ACCEPTANCE_VERY_HIGH, sampleId: 's1', count: 160 },
    ])
    expect(metrics.unusualResponses.value({ acceptance: 'very-low', tenant: 'acme' })).toBe(1)
    expect(metrics.unusualResponses.value({ acceptance: 'very-high', tenant: 'acme' })).toBe(1)
  })

  it('after response like that is counted, and said six times a minute', () => {
    const { answer, findings, metrics, passMinute } = setUp()
    for (let i = 0; i < 20; i++) answer(0, 80)
    expect(findings()).toHaveLength(6)
    passMinute()
    answer(0, 80)
    expect(findings()).toHaveLength(7)
    expect(metrics.unusualResponses.value({ acceptance: 'very-low', tenant: 'acme' })).toBe(21)
  })
})
