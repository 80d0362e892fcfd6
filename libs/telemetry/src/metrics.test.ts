import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { MetricRegistry } from './metrics.js'
import { metricsEndpoint } from './prometheus.js'

async function scrape(registry: MetricRegistry): Promise<string> {
  const endpoint = metricsEndpoint(registry, { service: 'test', clock: () => 1_000 })
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
    const registry = new MetricRegistry()
    const drafts = registry.counter({ name: 'plateau_drafts_total', help: 'Rounds.', labels: ['draft_version'] })
    const live = registry.gauge({ name: 'plateau_live_version', help: 'Version.' })
    const wait = registry.histogram({ name: 'plateau_wait_seconds', help: 'Wait.', buckets: [0.1, 1] })
    drafts.add({ draft_version: '7' }, 3)
    live.set({}, 7)
    for (const value of [0.1, 0.5, 9]) wait.record({}, value)
    const text = await scrape(registry)
    expect(text).toContain('# HELP plateau_drafts_total Rounds.\n# TYPE plateau_drafts_total counter')
    expect(text).toContain('plateau_drafts_total{draft_version="7"} 3')
    expect(text).toContain('plateau_live_version 7')
    expect(text).toContain('plateau_wait_seconds_bucket{le="0.1"} 1')
    expect(text).toContain('plateau_wait_seconds_bucket{le="1"} 2')
    expect(text).toContain('plateau_wait_seconds_bucket{le="+Inf"} 3')
    expect(text).toContain('plateau_wait_seconds_count 3')
    expect(text).toContain('service_name="test"')
  })

  it('a counter without labels shows at zero before its first event', async () => {
    const registry = new MetricRegistry()
    registry.counter({ name: 'plateau_failures_total', help: 'Failures.' })
    expect(await scrape(registry)).toContain('plateau_failures_total 0')
  })

  it('an observed gauge is read at the scrape', async () => {
    const registry = new MetricRegistry()
    let lag = 1
    registry.gauge({ name: 'plateau_lag', help: 'Lag.', labels: ['topic'] }).observe(() => [[{ topic: 'a' }, lag]])
    lag = 5
    expect(await scrape(registry)).toContain('plateau_lag{topic="a"} 5')
  })

  it('label combinations above the bound count together under "other"', () => {
    const counter = new MetricRegistry().counter({
      name: 'plateau_x_total',
      help: 'X.',
      labels: ['tenant'],
      maxSeries: 2,
    })
    for (const tenant of ['a', 'b', 'c', 'd', 'a']) counter.add({ tenant })
    expect([
      counter.value({ tenant: 'a' }),
      counter.value({ tenant: 'c' }),
      counter.value({ tenant: 'other' }),
    ]).toEqual([2, 0, 2])
  })

  it('a removed series is gone, the others stay', async () => {
    const registry = new MetricRegistry()
    const counter = registry.counter({ name: 'plateau_x_total', help: 'X.', labels: ['draft_version', 'tenant'] })
    counter.add({ draft_version: '1', tenant: 'a' })
    counter.add({ draft_version: '1', tenant: 'b' })
    counter.add({ draft_version: '2', tenant: 'a' })
    counter.remove({ draft_version: '1' })
    const text = await scrape(registry)
    expect(text).not.toContain('draft_version="1"')
    expect(text).toContain('plateau_x_total{draft_version="2",tenant="a"} 1')
  })

  it('shows aliases under names of another system, computed at the scrape', async () => {
    const registry = new MetricRegistry()
    const wait = registry.histogram({ name: 'plateau_wait_seconds', help: 'Waiting.', buckets: [0.1, 1] })
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

  it('refuses wrong names, a second declaration, missing labels and a falling counter', () => {
    const registry = new MetricRegistry()
    const counter = registry.counter({ name: 'plateau_x_total', help: 'X.', labels: ['tenant'] })
    expect(() => registry.counter({ name: 'plateau_x_total', help: 'X.' })).toThrow('declared twice')
    expect(() => registry.counter({ name: 'plateau_y', help: 'Y.' })).toThrow('must end in _total')
    expect(() => registry.gauge({ name: 'lag', help: 'Lag.' })).toThrow('plateau_')
    expect(() => counter.add({} as { tenant: string })).toThrow('label tenant')
    expect(() => counter.add({ tenant: 'a' }, -1)).toThrow('cannot go down')
  })
})
