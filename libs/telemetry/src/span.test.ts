import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  addSpanEvent,
  createLogger,
  currentTraceparent,
  inSpan,
  messagingAttributes,
  processIdentity,
  startSpan,
  startTracing,
  type Tracing,
} from './index.js'
import { TestCollector } from './testing/test-collector.js'

const remote = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
const other = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`
const unsampled = `00-${'e'.repeat(32)}-${'f'.repeat(16)}-00`

const identity = processIdentity('test')
const collector = new TestCollector()
let endpoint: string
let tracing: Tracing

test('while tracing is off the trace that came in goes on, and nothing is made', async () => {
  const span = startSpan('publish version', { parent: remote })
  expect(span.traceparent).toBe(remote)
  expect(span.run(() => 7)).toBe(7)
  expect(span.run(currentTraceparent)).toBeUndefined()
  const items = (async function* () {})()
  expect(span.each(items)).toBe(items)
  addSpanEvent('round', () => expect.fail('asked for what nobody records'))
  span.event('round', () => expect.fail('asked for what nobody records'))
  span.end()
  expect(startSpan('publish version', {}).traceparent).toBeUndefined()
})

test('without a collector nothing is started', async () => {
  await (await startTracing({ identity, endpoint: undefined, onError: () => {} })).stop()
  expect(startSpan('publish version', {}).traceparent).toBeUndefined()
})

describe('with a collector', () => {
  beforeAll(async () => {
    endpoint = await collector.start()
    tracing = await startTracing({ identity, endpoint, messagingSystem: 'kafka', onError: () => {} })
  })
  afterAll(() => collector.stop())

  test('what is done inside a span knows it, and nothing else does', async () => {
    const span = startSpan('process {topic}', {
      of: { topic: 'topic' },
      parent: remote,
      links: [other, 'nonsense', undefined],
      attributes: { ...messagingAttributes('process', 'topic'), 'messaging.consumer.group.name': 'group' },
    })
    expect(span.traceparent).toMatch(/^00-a{32}-[0-9a-f]{16}-01$/)
    expect(span.run(currentTraceparent)).toBe(span.traceparent)
    span.end()
    span.end()
    startSpan('publish version', { parent: 'nonsense' }).end(
      Object.assign(new Error('secret words'), { code: 'BROKEN' }),
    )
    expect(startSpan('publish version', { parent: unsampled }).traceparent).toMatch(/^00-e{32}-[0-9a-f]{16}-00$/)

    const failing = inSpan('verify version', { parent: remote }, () => Promise.reject(new TypeError('secret words')))
    await expect(failing).rejects.toThrow('secret words')

    const response = startSpan('{operation} {model}', { of: { operation: 'chat', model: 'm' }, parent: other })
    const inside: (string | undefined)[] = []
    const items = response.each(
      (async function* () {
        for (let i = 0; i < 3; i++) {
          inside.push(currentTraceparent())
          addSpanEvent('round', () => ({ 'plateau.accepted_tokens': i }))
          yield i
        }
      })(),
    )
    for await (const _ of items) expect(currentTraceparent()).toBeUndefined()
    expect(new Set(inside)).toEqual(new Set([response.traceparent]))
    response.set({ 'gen_ai.usage.output_tokens': 3, 'gen_ai.response.finish_reasons': ['stop'] })
    response.end()
    await tracing.stop()
  })

  const sent = (name: string) => collector.spans.find((span) => span.name === name)!

  test('a span continues its parent, links the others, and says what carried the record', () => {
    const process = sent('process topic')
    expect(process).toMatchObject({ traceId: 'a'.repeat(32), parentSpanId: 'b'.repeat(16), kind: 5, isError: false })
    expect(process.links).toEqual([{ traceId: 'c'.repeat(32), spanId: 'd'.repeat(16) }])
    expect(process.attributes).toEqual({
      'messaging.system': 'kafka',
      'messaging.operation.type': 'process',
      'messaging.operation.name': 'process',
      'messaging.destination.name': 'topic',
      'messaging.consumer.group.name': 'group',
    })
  })

  test('a malformed parent begins a trace; one that is not sampled is not sent', () => {
    expect(sent('publish version').parentSpanId).toBe('')
    expect(collector.spans.filter(({ name }) => name === 'publish version')).toHaveLength(1)
  })

  test('what failed is marked with its code or class, never with its words', () => {
    expect(sent('publish version')).toMatchObject({ isError: true, attributes: { 'error.type': 'BROKEN' } })
    expect(sent('verify version')).toMatchObject({ isError: true, attributes: { 'error.type': 'TypeError' } })
    expect(collector.bodies.join()).not.toContain('secret words')
  })

  test('a generator works inside its span, whoever pulls it', () => {
    const response = sent('chat m')
    expect(response.events.map(({ attributes }) => attributes['plateau.accepted_tokens'])).toEqual([0, 1, 2])
    expect(response.attributes).toEqual({
      'gen_ai.usage.output_tokens': 3,
      'gen_ai.response.finish_reasons': ['stop'],
    })
  })

  test('who sent them is on every span', () => {
    for (const { resource } of collector.spans) expect(resource).toEqual(identity)
  })

  test('a line that is logged in a span has its ids', () => {
    const lines: Record<string, unknown>[] = []
    const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) }
    const logger = createLogger({ identity, destination })
    const span = startSpan('publish version', { parent: unsampled })
    span.run(() => logger.info('inside'))
    logger.info('outside')
    const [, traceId, spanId] = span.traceparent!.split('-')
    expect(lines[0]).toMatchObject({ trace_id: traceId, span_id: spanId, trace_flags: '00' })
    expect(lines[1]).not.toHaveProperty('trace_id')
  })
})
