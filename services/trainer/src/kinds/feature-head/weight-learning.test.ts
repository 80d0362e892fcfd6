import { binsOf } from '@plateau/flatness'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { SumBank, type RidgeSums } from '@plateau/training'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { declareTrainerMetrics } from '../../metrics.js'
import type { ClosedFormPolicy } from '../../policy/policy-parts.js'
import { weightBins } from '../../policy/weight-bins.js'
import { headKind, Teacher, trainingRecord } from '../../testing.js'
import { acceptRecord, expectationsOf, type AcceptedRecord } from '../../training-record.js'
import type { LearnerState } from '../draft-kind.js'
import { decodeFeatureHeadState } from './feature-head-state.js'
import { LEARNED_FROM_NOBODY } from '../learned-from.js'

const teacher = new Teacher()
const bins = weightBins('flatness')!
const { vocabSize } = teacher.model.config

/** Four in ten positions are noise, and flat. */
function windowsOf(count: number, tenant = '', first = 0): AcceptedRecord[] {
  return Array.from({ length: count }, (_, i) => {
    const window = { ...teacher.window(`${tenant}${first + i}`, 24, 0.4), tenant }
    const place = { topic: 't', partition: 0, offset: first + i, timestampMs: 0 }
    return acceptRecord({ ...place, ...trainingRecord(window) }, expectationsOf(teacher.model))
  })
}

const training = windowsOf(180)
const windows = {
  unseen: windowsOf(40, '', 1000).map(({ rows }) => rows),
  calibration: windowsOf(8, '', 2000).map(({ rows }) => rows),
}

type Opened = Awaited<ReturnType<typeof openLearner>>

async function openLearner(seen: readonly AcceptedRecord[], saved?: LearnerState, isLearned = true) {
  const said: ClosedFormPolicy[] = []
  const time = { nowMs: 0 }
  const policy = { closedForm: (one: ClosedFormPolicy) => void said.push(one), gradients: () => {} }
  const kind = headKind(teacher.model)
  const learner = await kind.open({
    lineage: 'test',
    logger: silentLogger,
    metrics: declareTrainerMetrics(new MetricRegistry()),
    clock: () => time.nowMs,
    others: async () => [],
    forgotten: () => [],
    policy: isLearned ? policy : undefined,
    incumbent: kind.initial(),
    first: async () => ({ model: kind.initial(), ...LEARNED_FROM_NOBODY }),
    incumbentFrom: LEARNED_FROM_NOBODY,
    saved,
  })
  for (const window of seen) await learner.admit(window)
  return { learner, said, time }
}

/** Piece by piece, until the policy is told. */
async function learnt({ learner, said }: Opened): Promise<ClosedFormPolicy> {
  const before = said.length
  for (let piece = 0; said.length === before; piece++) {
    if (piece > 40) throw new Error('40 pieces of work and nothing was said')
    await learner.selection!.learn(windows)
  }
  return said.at(-1)!
}

/** Of each bin, as a snapshot has them. */
async function savedBinSums({ learner }: Opened): Promise<Map<string, RidgeSums>> {
  return SumBank.of(decodeFeatureHeadState(await learner.state()).weights!.sums.bank).totals()
}

let opened: Opened
let found: ClosedFormPolicy
let saved: LearnerState
beforeAll(async () => {
  opened = await openLearner(training)
  found = await learnt(opened)
  saved = await opened.learner.state()
})
afterAll(() => opened.learner.release())

test('positions that teach nothing lose weight, and the policy says by how much that gains', () => {
  const { binWeights, gain, evidence } = found
  const [, , few, some, many] = binWeights.weights
  expect(many).toBeLessThan(Math.min(few!, some!))
  expect(gain.gain).toBeGreaterThan(gain.standardError)
  expect(gain.count).toBe(40 * 24)
  expect(evidence).toMatch(/bins weigh .* alpha \+0\.\d+ ± 0\.\d+ .* 960 held-out positions/)
  expect(opened.learner.selection!.isDue()).toBe(false)
})

test("each row counts 1 in its bin's sums, whatever the scorer says", async () => {
  const heavy = training.map((window) => ({
    ...window,
    rows: { ...window.rows, weights: window.rows.weights.map(() => 7) },
  }))
  const weighed = await openLearner(heavy)
  const counts = new Map<string, number>()
  for (const window of training) {
    for (const bin of binsOf(bins, { ...window, vocabSize })) counts.set(`${bin}`, (counts.get(`${bin}`) ?? 0) + 1)
  }
  const sums = await savedBinSums(weighed)
  expect(new Map([...sums].map(([bin, { weight }]) => [bin, Math.round(weight)]))).toEqual(counts)
  await weighed.learner.release()
})

test('one that was saved goes on: the same sums, the same weights, and nothing is due again', async () => {
  const again = await openLearner([], saved)
  expect(await savedBinSums(again)).toEqual(await savedBinSums(opened))
  expect(again.learner.selection!.isDue()).toBe(false)
  const { learned } = decodeFeatureHeadState(await again.learner.state()).weights!
  expect(learned!.weights).toEqual(found.binWeights.weights)
  await again.learner.release()
})

test('a search that was under way is begun again by the next process, and finds the same', async () => {
  const killed = await openLearner(training)
  expect(killed.learner.selection!.isDue()).toBe(true)
  await killed.learner.selection!.learn(windows)
  const again = await openLearner([], await killed.learner.state())
  expect(again.learner.selection!.isDue()).toBe(true)
  expect((await learnt(again)).binWeights).toEqual(found.binWeights)
  await killed.learner.release()
  await again.learner.release()
})

test('of a forgotten tenant nothing is left, not even what was learned with it', async () => {
  const { learner, said } = await openLearner(windowsOf(30, 'them', 3000), saved)
  await learner.forget({ tenant: 'them', isForgotten: ({ tenant }) => tenant === 'them', calibration: [] })
  expect(said.map(({ evidence }) => evidence)).toEqual([expect.stringMatching(/a tenant was forgotten/)])
  const { learned, sums } = decodeFeatureHeadState(await learner.state()).weights!
  expect(learned).toBeUndefined()
  const left = SumBank.of(sums.bank).totals()
  const never = await savedBinSums(opened)
  expect([...left.keys()].toSorted()).toEqual([...never.keys()].toSorted())
  for (const [bin, { gram }] of never) {
    const worst = Math.max(...gram.map((x, at) => Math.abs(x - left.get(bin)!.gram[at]!)))
    expect(worst / Math.max(...gram)).toBeLessThan(1e-9)
  }
  await learner.release()
})

test('a third tenant is not learned from, and never mixed with another', async () => {
  const { learner } = await openLearner(['a', 'b', 'c'].flatMap((tenant) => windowsOf(10, tenant)))
  const { bank } = decodeFeatureHeadState(await learner.state()).weights!.sums
  expect(new Set(bank.cells.map(({ key }) => key.tenant))).toEqual(new Set(['a', 'b']))
  await learner.release()
})

test('too little that is held out is no ground to choose by: it waits', async () => {
  const { learner, said, time } = await openLearner(training)
  await learner.selection!.learn({ ...windows, unseen: windows.unseen.slice(0, 10) })
  expect(learner.selection!.isDue()).toBe(false)
  time.nowMs = 10_000
  expect(learner.selection!.isDue()).toBe(true)
  expect(said).toEqual([])
  await learner.release()
})

test('where no policy is to be learned there is none, and no memory for it', async () => {
  const { learner } = await openLearner([], undefined, false)
  expect(learner.selection).toBeUndefined()
  expect(learner.memory.weight_learning).toBe(0)
  expect(decodeFeatureHeadState(await learner.state()).weights).toBeUndefined()
  await learner.release()
})
