import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { MetricRegistry } from './metrics.js'
import { processIdentity } from './process-identity.js'
import { metricsEndpoint } from './prometheus.js'
import { metricTable } from './registry/metric-table.js'
import { problemsOf, type MetricTable } from './registry/declarations.js'

const table = {
  plateau_drafts_total: { kind: 'counter', unit: '{round}', help: 'Rounds.', labels: { draft_version: 'a number' } },
  plateau_failures_total: { kind: 'counter', unit: '{failure}', help: 'Failures.' },
  plateau_lag: { kind: 'gauge', unit: '{record}', help: 'Lag.', labels: { topic: 'its name' } },
  plateau_live_version: { kind: 'gauge', unit: '1', help: 'Version.' },
  plateau_wait_seconds: { kind: 'histogram', unit: 's', help: 'Wait.', buckets: [0.1, 1] },
  plateau_few_total: { kind: 'counter', unit: '1', help: 'Few.', labels: { tenant: 'whose' }, maxSeries: 2 },
  plateau_x_total: { kind: 'counter', unit: '1', help: 'X.', labels: { draft_version: 'a number', tenant: 'whose' } },
} as const satisfies MetricTable

async function scrape(registry: MetricRegistry<typeof table>): Promise<string> {
  const endpoint = metricsEndpoint(registry, { identity: processIdentity('test'), clock: () => 1_000 })
  const server = createServer((request, response) => endpoint.handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`)
    return await response.text()
  } finally {
    server.close()
    await endpoint.close()
  }
}

describe('metrics', () => {
  it('a scrape holds every declared metric under its own name, with its help', async () => {
    const registry = new MetricRegistry(table)
    const drafts = registry.counter('plateau_drafts_total')
    const live = registry.gauge('plateau_live_version')
    const wait = registry.histogram('plateau_wait_seconds')
    drafts.add({ draft_version: '7' }, 3)
    live.set({}, 7)
    for (const value of [0.1, 0.5, 9]) wait.record({}, value)
    const text = await scrape(registry)
    expect(text).toContain(
      '# HELP plateau_drafts_total Rounds. draft_version: a number.\n# TYPE plateau_drafts_total counter',
    )
    expect(text).toContain('plateau_drafts_total{draft_version="7"} 3')
    expect(text).toContain('plateau_live_version 7')
    expect(text).toContain('plateau_wait_seconds_bucket{le="0.1"} 1')
    expect(text).toContain('plateau_wait_seconds_bucket{le="1"} 2')
    expect(text).toContain('plateau_wait_seconds_bucket{le="+Inf"} 3')
    expect(text).toContain('plateau_wait_seconds_count 3')
    expect(text).toContain('service_name="test"')
  })

  it('a counter without labels shows at zero before its first event', async () => {
    const registry = new MetricRegistry(table)
    registry.counter('plateau_failures_total')
    expect(await scrape(registry)).toContain('plateau_failures_total 0')
  })

  it('an observed gauge is read at the scrape', async () => {
    const registry = new MetricRegistry(table)
    let lag = 1
    registry.gauge('plateau_lag').observe(() => [[{ topic: 'a' }, lag]])
    lag = 5
    expect(await scrape(registry)).toContain('plateau_lag{topic="a"} 5')
  })

  it('label combinations above the bound count together under "other"', () => {
    const counter = new MetricRegistry(table).counter('plateau_few_total')
    for (const tenant of ['a', 'b', 'c', 'd', 'a']) counter.add({ tenant })
    expect([
      counter.value({ tenant: 'a' }),
      counter.value({ tenant: 'c' }),
      counter.value({ tenant: 'other' }),
    ]).toEqual([2, 0, 2])
  })

  it('a removed series is gone, the others stay', async () => {
    const registry = new MetricRegistry(table)
    const counter = registry.counter('plateau_x_total')
    counter.add({ draft_version: '1', tenant: 'a' })
    counter.add({ draft_version: '1', tenant: 'b' })
    counter.add({ draft_version: '2', tenant: 'a' })
    counter.remove({ draft_version: '1' })
    const text = await scrape(registry)
    expect(text).not.toContain('draft_version="1"')
    expect(text).toContain('plateau_x_total{draft_version="2",tenant="a"} 1')
  })

  it('shows aliases under names of another system, computed at the scrape', async () => {
    const registry = new MetricRegistry(table)
    const wait = registry.histogram('plateau_wait_seconds')
    registry.alias((declared) => [
      { ...declared.get('plateau_wait_seconds')!, spec: { name: 'other:wait_seconds', help: 'Waiting.' } },
      {
        kind: 'counter',
        spec: { name: 'other:things_total', help: 'Things.' },
        collect: () => [{ labels: { model: 'a "b"\\c' }, value: 3 }],
      },
    ])
    for (const seconds of [0.05, 0.5, 5]) wait.record({}, seconds)
    const text = await scrape(registry)
    expect(text).toContain('plateau_wait_seconds_bucket{le="+Inf"} 3')
    expect(text).toContain(
      [
        '# HELP other:wait_seconds Waiting.',
        '# TYPE other:wait_seconds histogram',
        'other:wait_seconds_bucket{le="0.1"} 1',
        'other:wait_seconds_bucket{le="1"} 2',
        'other:wait_seconds_bucket{le="+Inf"} 3',
        'other:wait_seconds_sum 5.55',
        'other:wait_seconds_count 3',
        '# HELP other:things_total Things.',
        '# TYPE other:things_total counter',
        'other:things_total{model="a \\"b\\"\\\\c"} 3',
        '',
      ].join('\n'),
    )
  })

  it('refuses what the registry does not say, a second use, missing labels and a falling counter', () => {
    const registry = new MetricRegistry(table)
    const counter = registry.counter('plateau_few_total')
    expect(() => registry.counter('plateau_few_total')).toThrow('taken twice')
    // @ts-expect-error: not declared.
    expect(() => registry.counter('plateau_other_total')).toThrow('not in the registry')
    // @ts-expect-error: of another kind.
    expect(() => registry.gauge('plateau_x_total')).toThrow('is a counter')
    // @ts-expect-error: a label that is not declared.
    expect(() => counter.add({ draft_version: '1' })).toThrow('label tenant')
    expect(() => counter.add({ tenant: 'a' }, -1)).toThrow('cannot go down')
  })
})

describe('the registry', () => {
  it('every declaration follows the rules of names, and says what its values are', () => {
    for (const [name, metric] of Object.entries(metricTable)) expect(problemsOf(name, metric)).toEqual([])
  })

  it('a wrong name, label or bucket is a problem', () => {
    const about = { unit: '1', help: 'X.' }
    expect(problemsOf('plateau_y', { kind: 'counter', ...about })).toHaveLength(1)
    expect(problemsOf('plateau_y_total', { kind: 'gauge', ...about })).toHaveLength(1)
    expect(problemsOf('lag', { kind: 'gauge', ...about })).toHaveLength(1)
    expect(problemsOf('plateau_y', { kind: 'gauge', ...about, labels: { 'a.b': 'x' } })).toHaveLength(1)
    expect(problemsOf('plateau_y', { kind: 'histogram', ...about, buckets: [1, 1] })).toHaveLength(1)
  })
})
