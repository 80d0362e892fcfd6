import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { topics } from '@plateau/contracts'
import { Cluster, complete, readPrompts, serviceNames } from '@plateau/demo'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { demoModel, tinyModel } from './models.js'
import { readAll } from './read-all.js'
import { until } from './until.js'

interface Span {
  readonly service: string
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly links: readonly string[]
  readonly attributes: Readonly<Record<string, unknown>>
}

interface OtlpRequest {
  readonly resourceSpans: {
    readonly resource: { readonly attributes: OtlpAttribute[] }
    readonly scopeSpans: { readonly spans: OtlpSpan[] }[]
  }[]
}
interface OtlpAttribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}
interface OtlpSpan extends Omit<Span, 'links' | 'attributes' | 'service'> {
  readonly links?: { readonly traceId: string }[]
  readonly attributes?: OtlpAttribute[]
}

/** What an OpenTelemetry collector would get (OTLP over HTTP, as JSON). */
class Collector {
  readonly spans: Span[] = []
  readonly #server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')))
    request.on('end', () => {
      this.#take(JSON.parse(body) as OtlpRequest)
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  stop(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #take({ resourceSpans }: OtlpRequest): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = String(valuesOf(resource.attributes)['service.name'])
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        const links = (span.links ?? []).map(({ traceId }) => traceId)
        this.spans.push({ ...span, service, links, attributes: valuesOf(span.attributes ?? []) })
      }
    }
  }
}

function valuesOf(attributes: readonly OtlpAttribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}

describe('with a collector', () => {
  const directory = mkdtempSync(join(tmpdir(), 'plateau-tracing-'))
  const collector = new Collector()
  let cluster: Cluster
  let swap: Span

  beforeAll(async () => {
    const settings = { OTEL_EXPORTER_OTLP_ENDPOINT: await collector.start(), OTEL_BSP_SCHEDULE_DELAY: '200' }
    const env = Object.fromEntries(serviceNames.map((name) => [name, settings]))
    cluster = await Cluster.start({ directory, model: tinyModel, env })
    const { prompts } = readPrompts(demoModel, 'sotu')
    // Traffic until a version that was trained on it has been swapped in.
    let seed = 0
    swap = await until(async () => {
      const asked = Array.from({ length: 3 }, () => prompts[seed++ % prompts.length]!)
      await Promise.all(
        asked.map((prompt) => complete(cluster.httpUrl, { prompt, maxTokens: 40, temperature: 1, seed, domain: 'x' })),
      )
      return collector.spans.find(
        ({ name, attributes }) => name === 'swap draft' && Number(attributes['plateau.draft.version']) > 1,
      )
    }, 120_000)
    // The trainer, at the lowest priority, sends its own spans when its arithmetic leaves it time.
    await until(async () => inTrace('trainer', /^publish version$/), 60_000)
  })

  afterAll(async () => {
    await cluster.stop()
    collector.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  const inTrace = (service: string, name: string | RegExp): Span | undefined =>
    collector.spans.find(
      (span) => span.traceId === swap.traceId && span.service === service && span.name.match(name) !== null,
    )

  test('one trace reaches from a request over the target, the scorer and the trainer to the swap', () => {
    const path = [
      inTrace('serving', /^serving\.generate$/),
      inTrace('target-model', /Speculate|Generate/),
      inTrace('flatness-scorer', `process ${topics.tokenDistributions.name}`),
      inTrace('trainer', /^publish version$/),
      inTrace('serving', /^swap draft$/),
    ]
    expect(path.map((span) => span?.service)).toEqual([
      'serving',
      'target-model',
      'flatness-scorer',
      'trainer',
      'serving',
    ])
    // Each of the later ones is a child of the one before it.
    const [, , scored, published, swapped] = path
    expect(published!.parentSpanId).toBe(scored!.spanId)
    expect(swapped!.parentSpanId).toBe(published!.spanId)
  })

  test("the trainer's batch is linked to the traces that came together in it", () => {
    const batches = collector.spans.filter(({ name }) => name === `process ${topics.trainingWindows.name}`)
    expect(batches.some(({ links }) => links.includes(swap.traceId))).toBe(true)
  })

  test("spans on records have the attributes of OpenTelemetry's messaging conventions", () => {
    const scored = inTrace('flatness-scorer', `process ${topics.tokenDistributions.name}`)!
    expect(scored.attributes).toMatchObject({
      'messaging.system': 'plateau',
      'messaging.operation.type': 'process',
      'messaging.destination.name': topics.tokenDistributions.name,
      'messaging.consumer.group.name': 'flatness-scorer.score.v1',
    })
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
