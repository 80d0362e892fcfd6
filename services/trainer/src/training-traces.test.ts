import { MAX_LINKS, processIdentity, startTracing } from '@plateau/telemetry'
import { TestCollector } from '@plateau/telemetry/testing'
import { afterAll, expect, test } from 'vitest'
import { TrainingTraces } from './training-traces.js'

const window = (trace: number, flags: '00' | '01') => {
  const id = trace.toString(16).padStart(16, '0')
  return { traceparent: `00-${id}${id}-${id}-${flags}` }
}
const collector = new TestCollector()
afterAll(() => collector.stop())

test('without tracing a version continues the newest window that is sampled, else the newest', () => {
  const traces = new TrainingTraces()
  expect(traces.traceparent).toBeUndefined()
  traces.admitted(window(1, '00'))
  expect(traces.traceparent).toBe(window(1, '00').traceparent)
  traces.admitted(window(2, '01'))
  traces.admitted(window(3, '00'))
  traces.admitted({ traceparent: undefined })
  traces.trained('gradients', 100, 5)
  expect(traces.traceparent).toBe(window(2, '01').traceparent)
})

test('each stage links the windows since its last span; what only replays has none; links are bounded', async () => {
  const endpoint = await collector.start()
  const tracing = await startTracing({ identity: processIdentity('trainer'), endpoint, onError: () => {} })
  const traces = new TrainingTraces()
  for (const trace of [1, 2, 2]) traces.admitted(window(trace, '01'))
  traces.trained('closed-form', 10, 1_000)
  traces.trained('gradients', 20, 2_000)
  traces.trained('gradients', 30, 3_000)
  for (let trace = 3; trace < 3 + 2 * MAX_LINKS; trace++) traces.admitted(window(trace, '01'))
  traces.trained('gradients', 40, 4_000)
  const version = traces.traceparent
  await tracing.stop()

  const said = collector.spans.map(({ name, links, attributes }) => [
    name,
    links.length,
    attributes['plateau.training.windows'],
    attributes['plateau.training.positions'],
  ])
  expect(said).toEqual([
    ['train closed-form', 2, 3, 10],
    ['train gradients', 2, 3, 20],
    ['train gradients', MAX_LINKS, 2 * MAX_LINKS, 40],
  ])
  expect(version?.split('-')[2]).toBe(collector.spans.at(-1)!.spanId)
})
