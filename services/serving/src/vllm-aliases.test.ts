import { MetricRegistry } from '@plateau/telemetry'
import { expect, it } from 'vitest'
import { declareServingMetrics, observeServing } from './serving-metrics.js'
import { aliasForVllm } from './vllm-aliases.js'

function aliased(registry: MetricRegistry) {
  return new Map(registry.aliased().map((metric) => [metric.spec.name, [...metric.collect()]]))
}

it('tenants, versions and copies are summed under vLLM’s names and labels', () => {
  const registry = new MetricRegistry()
  const metrics = declareServingMetrics(registry)
  observeServing(registry, {
    running: () => 3,
    waiting: () => 2,
    liveVersion: () => 0,
    proposal: () => 0,
    breakEven: () => undefined,
    targetConnected: () => true,
    acceptance: () => [],
  })
  aliasForVllm(registry, 'tiny')
  const engine = { model_name: 'tiny', engine: '0' }

  metrics.drafts.add({ draft_version: '7', tenant: 'a' }, 5)
  metrics.drafts.add({ draft_version: 'prompt-lookup', tenant: 'b' }, 2)
  for (const version of ['7', '8']) metrics.acceptedPerPosition.add({ draft_version: version, position: '1' }, 4)
  metrics.acceptedPerPosition.add({ draft_version: '8', position: '0' }, 9)
  const outcomes = { stop: 1, length: 2, cancelled: 3, failed: 4, rejected: 5 }
  for (const [outcome, count] of Object.entries(outcomes)) metrics.requests.add({ outcome, tenant: 'a' }, count)
  metrics.firstToken.record({}, 0.3)

  const found = aliased(registry)
  expect(found.get('vllm:spec_decode_num_drafts_total')).toEqual([{ labels: engine, value: 7 }])
  expect(found.get('vllm:spec_decode_num_accepted_tokens_per_pos_total')).toEqual([
    { labels: { ...engine, position: '1' }, value: 8 },
    { labels: { ...engine, position: '0' }, value: 9 },
  ])
  expect(found.get('vllm:num_requests_running')).toEqual([{ labels: engine, value: 3 }])
  expect(found.get('vllm:num_requests_waiting')).toEqual([{ labels: engine, value: 2 }])
  const ended = found.get('vllm:request_success_total')!
  expect(Object.fromEntries(ended.map(({ labels, value }) => [labels['finished_reason'], value]))).toEqual({
    stop: 1,
    length: 2,
    abort: 3,
    error: 4,
  })
  expect(found.get('vllm:time_to_first_token_seconds')).toEqual([
    { labels: engine, value: expect.objectContaining({ count: 1, sum: 0.3 }) },
  ])
  for (const name of [
    'vllm:spec_decode_num_draft_tokens_total',
    'vllm:spec_decode_num_accepted_tokens_total',
    'vllm:prompt_tokens_total',
    'vllm:generation_tokens_total',
    'vllm:inter_token_latency_seconds',
  ])
    expect(found.has(name)).toBe(true)
})
