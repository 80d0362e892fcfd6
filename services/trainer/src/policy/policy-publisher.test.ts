import { PlateauError, SelectionPolicy, topics, type KeepRule } from '@plateau/contracts'
import type { Producer } from '@plateau/event-log'
import { selectionPolicy } from '@plateau/flatness'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { expect, test } from 'vitest'
import { declareTrainerMetrics } from '../metrics.js'
import { Teacher } from '../testing.js'
import { useTrainerWorld } from '../testing-world.js'
import type { ClosedFormPolicy, GradientPolicy } from './policy-parts.js'
import { PolicyPublisher } from './policy-publisher.js'

const world = useTrainerWorld(new Teacher())
const MINUTE = 60_000

const rule = (strategy: string, keep = 0.5): KeepRule => ({
  strategy,
  keep,
  unit: 'window',
  budget: 'windows',
  stratified: false,
  sampling: 'top',
})
const weighs = (...weights: number[]): ClosedFormPolicy => ({
  binWeights: { effectiveTokens: [2], draftGap: [], weights },
  gain: { gain: 0.004, standardError: 0.001, count: 900 },
  evidence: 'Closed form: as measured.',
})
const keeps = (strategy: string): GradientPolicy => ({
  rule: rule(strategy),
  trials: [rule('random'), rule('flatness')],
  gain: { gain: 0.02, standardError: 0.01, count: 12 },
  evidence: 'Gradients: as measured.',
})

interface Opened {
  readonly publisher: PolicyPublisher
  readonly metrics: ReturnType<typeof declareTrainerMetrics>
  readonly at: (ms: number) => void
}

async function open(wrap = (producer: Producer): Producer => producer): Promise<Opened> {
  let nowMs = 1000
  const metrics = declareTrainerMetrics(new MetricRegistry())
  const publisher = await PolicyPublisher.open({
    lineage: 'default',
    log: world.log,
    producer: wrap(world.log.producer()),
    logger: silentLogger,
    metrics,
    clock: () => nowMs,
  })
  return { publisher, metrics, at: (ms) => void (nowMs = ms) }
}

const published = async (): Promise<SelectionPolicy[]> =>
  (await world.readAll(topics.selectionPolicy.name)).map(({ value }) => SelectionPolicy.decode(value!))

test('nothing is published before a stage has said something', async () => {
  const { publisher } = await open()
  await publisher.publish()
  expect(await published()).toEqual([])
})

test('one record holds what both stages said, and a scorer can read it', async () => {
  const { publisher, metrics } = await open()
  publisher.closedForm(weighs(1.5, 0.5))
  publisher.gradients(keeps('flatness'))
  await publisher.publish()
  const [record] = await published()
  expect(record).toEqual({
    schemaVersion: 1,
    lineage: 'default',
    ...rule('flatness'),
    closedFormWeight: 'binned',
    binWeights: { effectiveTokens: [2], draftGap: [], weights: [1.5, 0.5] },
    trials: [rule('random'), rule('flatness')],
    gains: [
      { stage: 'closed-form', gain: 0.004, standardError: 0.001, count: 900 },
      { stage: 'gradients', gain: 0.02, standardError: 0.01, count: 12 },
    ],
    evidence: 'Closed form: as measured. Gradients: as measured.',
    atMs: 1000,
  })
  expect(selectionPolicy(record!).binWeights!.weights).toEqual([1.5, 0.5])
  expect(metrics.policyGain.value({ stage: 'closed-form' })).toBe(0.004)
  expect(metrics.policyGainError.value({ stage: 'gradients' })).toBe(0.01)
  expect(metrics.binWeight.value({ bin: '0' })).toBe(1.5)
})

test('a stage that has said nothing yet keeps everything, or weighs all alike', async () => {
  const { publisher } = await open()
  publisher.gradients(keeps('flatness'))
  await publisher.publish()
  expect((await published()).at(-1)).toMatchObject({ closedFormWeight: 'uniform', binWeights: undefined })
  const other = await PolicyPublisher.open({
    lineage: 'other',
    log: world.log,
    producer: world.log.producer(),
    logger: silentLogger,
    metrics: declareTrainerMetrics(new MetricRegistry()),
    clock: () => 0,
  })
  other.closedForm(weighs(1, 1))
  await other.publish()
  expect((await published()).at(-1)).toMatchObject({ lineage: 'other', strategy: 'none', keep: 1 })
})

test('another decision is published at once, new figures behind the same one every ten minutes', async () => {
  const { publisher, metrics, at } = await open()
  publisher.closedForm(weighs(1.5, 0.5))
  await publisher.publish()
  publisher.closedForm({ ...weighs(1.5, 0.5), gain: { gain: 0.1, standardError: 0.1, count: 1 } })
  at(9 * MINUTE)
  await publisher.publish()
  expect(await published()).toHaveLength(1)
  at(12 * MINUTE)
  await publisher.publish()
  await publisher.publish()
  expect((await published()).map(({ gains }) => gains[0]!.gain)).toEqual([0.004, 0.1])
  at(13 * MINUTE)
  publisher.closedForm(weighs(1.2, 0.8))
  await publisher.publish()
  expect(await published()).toHaveLength(3)
  expect(metrics.policiesPublished.value({ reason: 'changed' })).toBe(2)
  expect(metrics.policiesPublished.value({ reason: 'heartbeat' })).toBe(1)
})

test('a new process goes on from the newest record: a stage that is silent keeps its part', async () => {
  const first = await open()
  first.publisher.closedForm(weighs(1.5, 0.5))
  first.publisher.gradients(keeps('least-flat'))
  await first.publisher.publish()
  const { publisher, metrics, at } = await open()
  expect(metrics.policyGain.value({ stage: 'gradients' })).toBe(0.02)
  at(2000)
  publisher.closedForm(weighs(1.5, 0.5))
  await publisher.publish()
  expect(await published()).toHaveLength(1)
  publisher.closedForm(weighs(1, 1))
  await publisher.publish()
  expect((await published()).at(-1)).toMatchObject({ ...rule('least-flat'), gains: [{}, { stage: 'gradients' }] })
})

test('a log that takes nothing for a while gets the newest policy afterwards', async () => {
  let isFull = true
  const { publisher, at } = await open((producer) => ({
    send: async (topic, records) => {
      if (isFull) throw new PlateauError('FULL', 'no space left', { retryable: true })
      return producer.send(topic, records)
    },
    bytesInFlight: 0,
    flush: () => producer.flush(),
    close: () => producer.close(),
  }))
  publisher.closedForm(weighs(1.5, 0.5))
  await publisher.publish()
  publisher.closedForm(weighs(1.4, 0.6))
  isFull = false
  await publisher.publish()
  expect(await published()).toEqual([])
  at(10_000)
  await publisher.publish()
  expect((await published()).map(({ binWeights }) => binWeights!.weights)).toEqual([[1.4, 0.6]])
})
