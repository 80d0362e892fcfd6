import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { topics } from '@plateau/contracts'
import { Cluster, readPrompts, serviceNames } from '@plateau/demo'
import { TestCollector, undeclared, type CollectedSpan } from '@plateau/telemetry/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { demoModel, tinyModel } from './models.js'
import { readAll } from './read-all.js'
import { until } from './until.js'

const KIND = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 }

describe('with a collector', () => {
  const directory = mkdtempSync(join(tmpdir(), 'plateau-tracing-'))
  const collector = new TestCollector()
  /** Span ids that clients sent. */
  const sentByClients = new Set<string>()
  let cluster: Cluster
  let swap: CollectedSpan

  async function ask(prompt: string, seed: number): Promise<void> {
    const client = randomBytes(8).toString('hex')
    sentByClients.add(client)
    const response = await fetch(`${cluster.httpUrl}/v1/completions`, {
      method: 'POST',
      headers: { traceparent: `00-${randomBytes(16).toString('hex')}-${client}-01` },
      body: JSON.stringify({ prompt, max_tokens: 40, temperature: 1, seed }),
    })
    expect(response.status).toBe(200)
    await response.text()
  }

  beforeAll(async () => {
    const settings = { OTEL_EXPORTER_OTLP_ENDPOINT: await collector.start(), OTEL_BSP_SCHEDULE_DELAY: '200' }
    const env = Object.fromEntries(serviceNames.map((name) => [name, settings]))
    cluster = await Cluster.start({ directory, model: tinyModel, env })
    const { prompts } = readPrompts(demoModel, 'sotu')
    // Traffic until a version that was trained on it has been swapped in.
    let seed = 0
    swap = await until(async () => {
      await Promise.all(Array.from({ length: 3 }, () => ask(prompts[seed % prompts.length]!, seed++)))
      return collector.spans.find(
        ({ name, attributes }) => name === 'swap version' && Number(attributes['plateau.draft.version']) > 1,
      )
    }, 120_000)
    // The trainer, at the lowest priority, sends its own spans when its arithmetic leaves it time.
    await until(async () => (ancestry(swap).length === CHAIN.length ? true : undefined), 60_000)
    await cluster.stop()
  })

  afterAll(async () => {
    await cluster.stop()
    collector.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  const byId = (id: string): CollectedSpan | undefined => collector.spans.find(({ spanId }) => spanId === id)

  /** A span, what caused it, what caused that, ... */
  function ancestry(span: CollectedSpan | undefined): CollectedSpan[] {
    return span === undefined ? [] : [span, ...ancestry(byId(span.parentSpanId))]
  }

  const CHAIN = [
    ['serving', 'swap version', KIND.internal],
    ['serving', 'roll out version', KIND.consumer],
    ['trainer', 'publish version', KIND.producer],
    ['trainer', expect.stringMatching(/^train (closed-form|gradients)$/), KIND.internal],
    ['flatness-scorer', `process ${topics.tokenDistributions.name}`, KIND.consumer],
    ['target-model', `send ${topics.tokenDistributions.name}`, KIND.producer],
    ['target-model', expect.stringMatching(/TargetService\/(Speculate|Generate)$/), KIND.server],
    ['serving', expect.stringMatching(/TargetService\/(Speculate|Generate)$/), KIND.client],
    ['serving', expect.stringMatching(/^text_completion \S+$/), KIND.internal],
    ['serving', 'POST /v1/completions', KIND.server],
  ]

  test("each cause is there, from a draft's swap back to the request that it was trained on and the client's own span", () => {
    const chain = ancestry(swap)
    expect(chain.map(({ service, name, kind }) => [service, name, kind])).toEqual(CHAIN)
    expect(new Set(chain.map(({ traceId }) => traceId)).size).toBe(1)
    expect(sentByClients).toContain(chain.at(-1)!.parentSpanId)
  })

  test('a roll-out shows its steps', () => {
    const rollout = byId(swap.parentSpanId)!
    const steps = collector.spans.filter(({ parentSpanId }) => parentSpanId === rollout.spanId)
    const names = steps.map(({ name }) => name)
    expect(names).toEqual(
      expect.arrayContaining(['verify version', 'probe version', 'shadow version', 'canary version', 'swap version']),
    )
    expect(rollout.attributes['plateau.rollout.outcome']).toBe('live')
  })

  test('training links the windows that came together in it, each a window that was scored', () => {
    const trained = collector.spans.filter(({ name }) => name.startsWith('train '))
    const linked = trained.flatMap(({ links }) => links.map(({ spanId }) => byId(spanId)?.name))
    expect(linked.length).toBeGreaterThan(trained.length)
    expect(new Set(linked)).toEqual(new Set([`process ${topics.tokenDistributions.name}`]))
    const batches = collector.spans.filter(({ name }) => name === `process ${topics.trainingWindows.name}`)
    expect(batches.some(({ links }) => links.some(({ traceId }) => traceId === swap.traceId))).toBe(true)
  })

  test('rounds are told at both ends, and add up to the response', () => {
    const responses = collector.spans.filter(({ name }) => name.startsWith('text_completion'))
    expect(responses.length).toBeGreaterThan(2)
    const speculated = responses.filter(({ attributes }) => Number(attributes['plateau.proposed_tokens']) > 0)
    expect(speculated.length).toBeGreaterThan(0)
    for (const { events, attributes } of responses) {
      const emitted = events.map(({ attributes: round }) => Number(round['plateau.emitted_tokens']))
      expect(emitted.reduce((sum, tokens) => sum + tokens, 0)).toBe(attributes['gen_ai.usage.output_tokens'])
    }
    const verified = collector.spans.filter(({ service, kind, name }) => {
      return service === 'target-model' && kind === KIND.server && name.endsWith('Speculate')
    })
    expect(verified.every(({ events }) => events.length > 0)).toBe(true)
  })

  test('requests at the same time keep their traces apart', () => {
    const responses = collector.spans.filter(({ name }) => name.startsWith('text_completion'))
    const clients = responses.map((response) => ancestry(response).at(-1)!.parentSpanId)
    expect(new Set(clients).size).toBe(responses.length)
    // What was captured says by itself whose it is.
    const sampleOf = new Map(responses.map(({ traceId, attributes }) => [traceId, attributes['plateau.sample.id']]))
    const captured = collector.spans.filter(({ service, kind }) => service === 'target-model' && kind === KIND.producer)
    expect(captured.length).toBeGreaterThan(responses.length / 2)
    for (const { traceId, attributes } of captured) expect(attributes['plateau.sample.id']).toBe(sampleOf.get(traceId))
  })

  test('requests say what OpenTelemetry says of HTTP and of models', () => {
    const [request] = collector.spans.filter(({ name }) => name === 'POST /v1/completions')
    expect(request!.attributes).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/v1/completions',
      'http.response.status_code': 200,
    })
    const [response] = collector.spans.filter(({ name }) => name.startsWith('text_completion'))
    expect(response!.attributes).toMatchObject({
      'gen_ai.operation.name': 'text_completion',
      'gen_ai.request.max_tokens': 40,
      'gen_ai.request.temperature': 1,
      'gen_ai.usage.output_tokens': expect.any(Number),
    })
  })

  test('what is logged in a span leads to it', () => {
    const published = byId(byId(swap.parentSpanId)!.parentSpanId)!
    const lines = readFileSync(cluster.logFile('trainer'), 'utf8').split('\n')
    const line = lines.find((text) => text.includes(`"span_id":"${published.spanId}"`)) ?? '{}'
    expect(JSON.parse(line)).toMatchObject({
      message: 'version published',
      'service.name': 'trainer',
      trace_id: swap.traceId,
      trace_flags: '01',
    })
  })

  test('nothing is sent that the registry does not know', () => {
    expect([...new Set(collector.spans.flatMap(undeclared))]).toEqual([])
  })

  test('the public records carry it on: what was scored, the version, what became of it', async () => {
    const log = await cluster.openEventLog()
    try {
      for (const topic of [topics.scoredTokens, topics.draftCheckpoints, topics.rollouts]) {
        const records = await readAll(log, topic.name)
        const carried = records.map(({ headers }) => headers['traceparent']?.split('-')[1])
        expect([topic.name, carried.includes(swap.traceId)]).toEqual([topic.name, true])
      }
    } finally {
      await log.close()
    }
  })
})
