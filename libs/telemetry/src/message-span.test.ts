import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { currentTraceparent, messagingAttributes, startMessageSpan, startTracing, type Tracing } from './index.js'

const remote = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
const other = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`

interface SentSpan {
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly links?: { readonly traceId: string }[]
  readonly status: { readonly code?: number }
  readonly attributes: { readonly key: string; readonly value: { readonly stringValue?: string } }[]
}

const sent: SentSpan[] = []
const collector = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')))
  request.on('end', () => {
    const { resourceSpans } = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: SentSpan[] }[] }[] }
    for (const { scopeSpans } of resourceSpans) for (const { spans } of scopeSpans) sent.push(...spans)
    response.end('{}')
  })
})
let tracing: Tracing

test('while tracing is off the trace that came in goes on, and nothing is made', () => {
  const span = startMessageSpan('work', { kind: 'consumer', parent: remote })
  expect(span.traceparent).toBe(remote)
  expect(span.run(() => 7)).toBe(7)
  span.end()
  expect(startMessageSpan('work', { kind: 'consumer' }).traceparent).toBeUndefined()
})

beforeAll(async () => {
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
})
afterAll(() => void collector.close())

test('a span continues its parent, links the others, and says what carried the record', async () => {
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
  tracing = await startTracing({ service: 'test', endpoint, messagingSystem: 'kafka', onError: () => {} })
  const attributes = messagingAttributes('process', 'topic', 'group')
  const span = startMessageSpan('process topic', {
    kind: 'consumer',
    parent: remote,
    links: [other, 'nonsense', undefined],
    attributes,
  })
  expect(span.traceparent).toMatch(/^00-a{32}-[0-9a-f]{16}-01$/)
  expect(span.run(() => currentTraceparent())).toBe(span.traceparent)
  span.end()
  span.end()
  const failed = startMessageSpan('send topic', { kind: 'producer', parent: 'nonsense' })
  failed.end(new Error('boom'))
  await tracing.stop()

  expect(sent.map(({ name }) => name)).toEqual(['process topic', 'send topic'])
  const [process, send] = sent
  expect(process).toMatchObject({ traceId: 'a'.repeat(32), parentSpanId: 'b'.repeat(16), kind: 5 })
  expect(process!.links?.map(({ traceId }) => traceId)).toEqual(['c'.repeat(32)])
  const values = Object.fromEntries(process!.attributes.map(({ key, value }) => [key, value.stringValue]))
  expect(values).toMatchObject({
    'messaging.system': 'kafka',
    'messaging.operation.type': 'process',
    'messaging.destination.name': 'topic',
    'messaging.consumer.group.name': 'group',
  })
  expect(send!.parentSpanId ?? '').toBe('')
  expect(send!.traceId).not.toBe('a'.repeat(32))
  expect(send!.status.code).toBe(2)
})
