import { setTimeout as sleep } from 'node:timers/promises'
import { decodeHeaders, PlateauError, TokenWindow, topics } from '@plateau/contracts'
import type { NewRecord, Producer } from '@plateau/event-log'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { expect, it } from 'vitest'
import { declareTargetMetrics } from './metrics.js'
import { WindowPublisher, type PublisherOptions } from './window-publisher.js'

/** A log whose answers the test decides. */
class ScriptedProducer implements Producer {
  readonly bytesInFlight = 0
  readonly sent: NewRecord[] = []
  attempts = 0
  answer: () => Promise<void> = async () => {}

  async send(topic: string, records: readonly NewRecord[]) {
    this.attempts++
    if (topic !== topics.tokenDistributions.name) throw new TypeError(`sent to ${topic}`)
    await this.answer()
    this.sent.push(...records)
    return records.map((_, offset) => ({ partition: 0, offset }))
  }

  async flush() {}
  async close() {}
}

const window = (windowIndex: number, bytes = 1000) =>
  TokenWindow.fromPartial({ sampleId: 's', windowIndex, capturedAtMs: 5, features: Buffer.alloc(bytes) })

function start(maxQueueBytes = 10_000, options: Partial<PublisherOptions> = {}) {
  const producer = new ScriptedProducer()
  const metrics = declareTargetMetrics(new MetricRegistry())
  const publisher = new WindowPublisher(producer, { maxQueueBytes, logger: silentLogger, metrics, ...options })
  const shed = (reason: 'queue_full' | 'too_large' | 'refused' | 'shutdown') => metrics.shed.value({ reason })
  return { producer, publisher, metrics, shed }
}

const unavailable = () => Promise.reject(new PlateauError('LOG_UNAVAILABLE', 'down', { retryable: true }))
const hang = () => new Promise<void>(() => {})

it('windows arrive in order, under their sample, with the id that consumers deduplicate by', async () => {
  const { producer, publisher, metrics } = start()
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  for (let i = 0; i < 4; i++) publisher.offer(window(i), i === 0 ? traceparent : undefined)
  await publisher.close(1000)
  expect(producer.sent.map(({ key }) => key)).toEqual(['s', 's', 's', 's'])
  expect(producer.sent.map(({ value }) => TokenWindow.decode(value!).windowIndex)).toEqual([0, 1, 2, 3])
  expect(decodeHeaders(producer.sent[0]!.headers)).toEqual({
    id: 'window:s:0',
    source: '/plateau/target-model',
    type: 'plateau.stream.v1.TokenWindow',
    timeMs: 5,
    subject: 's',
    traceparent,
  })
  expect(metrics.captured.value({})).toBe(4)
  expect(metrics.published.value({})).toBe(4)
  expect(publisher.queuedBytes).toBe(0)
})

it('a full queue sheds and never grows beyond its bound, whatever the log does', async () => {
  const { producer, publisher, metrics, shed } = start()
  producer.answer = hang
  for (let i = 0; i < 1000; i++) publisher.offer(window(i), undefined)
  await sleep(5)
  for (let i = 0; i < 1000; i++) publisher.offer(window(i), undefined)
  expect(publisher.queuedBytes).toBeLessThanOrEqual(10_000)
  expect(publisher.queuedBytes).toBeGreaterThan(8000)
  expect(shed('queue_full')).toBe(2000 - Math.floor(10_000 / (publisher.queuedBytes / 9)))
  expect(metrics.captured.value({})).toBe(2000)
  await publisher.close(10)
})

it('a log that is down for a while gets everything that was queued, once', async () => {
  const { producer, publisher, metrics } = start()
  producer.answer = unavailable
  publisher.offer(window(0), undefined)
  publisher.offer(window(1), undefined)
  while (producer.attempts < 2) await sleep(5)
  producer.answer = async () => {}
  await publisher.close(5000)
  expect(producer.sent.map(({ value }) => TokenWindow.decode(value!).windowIndex)).toEqual([0, 1])
  expect(metrics.published.value({})).toBe(2)
})

it('windows that the log refuses for good are counted and do not hold up the next ones', async () => {
  const { producer, publisher, shed } = start()
  producer.answer = () => Promise.reject(new PlateauError('RECORD_TOO_LARGE', 'no'))
  publisher.offer(window(0), undefined)
  while (producer.attempts < 1) await sleep(1)
  await sleep(1)
  producer.answer = async () => {}
  publisher.offer(window(1), undefined)
  await publisher.close(1000)
  expect(shed('refused')).toBe(1)
  expect(producer.sent).toHaveLength(1)
})

it('a window larger than a record may be is shed at once', async () => {
  const { publisher, shed } = start(10 * topics.tokenDistributions.maxRecordBytes)
  publisher.offer(window(0, topics.tokenDistributions.maxRecordBytes), undefined)
  expect(shed('too_large')).toBe(1)
  expect(publisher.queuedBytes).toBe(0)
  await publisher.close(10)
})

it.each([
  ['hangs', hang],
  ['stays down', unavailable],
])('closing is bounded when the log %s, and what is left is counted', async (_, answer) => {
  const { producer, publisher, metrics, shed } = start(1_000_000)
  producer.answer = answer
  for (let i = 0; i < 100; i++) publisher.offer(window(i), undefined)
  await publisher.close(60)
  await publisher.close(60)
  publisher.offer(window(100), undefined)
  expect(shed('shutdown')).toBe(101)
  expect(metrics.published.value({})).toBe(0)
  expect(publisher.queuedBytes).toBe(0)
})

it('a redaction decides what is published, after the request has gone on, and is counted', async () => {
  const seen: number[] = []
  const lines: unknown[] = []
  const redact: PublisherOptions['redact'] = (value) => {
    const { windowIndex } = TokenWindow.decode(value)
    seen.push(windowIndex)
    if (windowIndex === 1) return { kind: 'dropped' }
    if (windowIndex === 2) return { kind: 'changed', value: TokenWindow.encode(window(2, 7)).finish() }
    if (windowIndex === 3) return { kind: 'failed', error: new RangeError('secret') }
    return { kind: 'kept' }
  }
  const logger = { ...silentLogger, error: (...line: unknown[]) => lines.push(line) }
  const { producer, publisher, metrics } = start(10_000, { redact, logger })
  for (let i = 0; i < 5; i++) publisher.offer(window(i), undefined)
  expect(seen).toEqual([])
  await publisher.close(1000)
  expect(seen).toEqual([0, 1, 2, 3, 4])
  const sent = producer.sent.map(({ value }) => TokenWindow.decode(value!))
  expect(sent.map(({ windowIndex, features }) => [windowIndex, features.length])).toEqual([
    [0, 1000],
    [2, 7],
    [4, 1000],
  ])
  expect(decodeHeaders(producer.sent[1]!.headers)!.id).toBe('window:s:2')
  for (const result of ['changed', 'dropped', 'failed'] as const) expect(metrics.redacted.value({ result })).toBe(1)
  expect(metrics.published.value({})).toBe(3)
  expect(publisher.queuedBytes).toBe(0)
  expect(lines).toHaveLength(1)
  expect(JSON.stringify(lines)).not.toContain('secret')
})

it('a redaction that makes a window larger than a record may be has it shed', async () => {
  const value = TokenWindow.encode(window(0, topics.tokenDistributions.maxRecordBytes)).finish()
  const { producer, publisher, shed } = start(10_000, { redact: () => ({ kind: 'changed', value }) })
  publisher.offer(window(0), undefined)
  await publisher.close(1000)
  expect(shed('too_large')).toBe(1)
  expect(producer.sent).toEqual([])
})
