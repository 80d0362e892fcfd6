import { featureHeadParameter, type FeatureHead } from '@plateau/causal-lm'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { expect, test } from 'vitest'
import type { LearnerStart } from './kinds/draft-kind.js'
import { featureHeadKind } from './kinds/feature-head/feature-head-kind.js'
import { declareTrainerMetrics } from './metrics.js'
import { acceptedWindow, defaults, records, Teacher, type BenchOptions } from './testing.js'
import { useTrainerWorld } from './testing-world.js'
import { LEARNED_FROM_NOBODY } from './kinds/learned-from.js'

const teacher = new Teacher()
const other = new Teacher(2)
const world = useTrainerWorld(teacher)

const windows = Array.from({ length: 80 }, (_, offset) => ({
  ...acceptedWindow(offset % 4 === 0 ? other : teacher, offset),
  tenant: offset % 4 === 0 ? 'them' : 'us',
}))
const isFirst = (_: unknown, i: number): boolean => i % 3 === 0

/** A learner that has seen these windows. */
async function learner(
  seen: readonly (typeof windows)[number][],
  changes: Partial<LearnerStart<FeatureHead>> = {},
  options: Partial<BenchOptions> = {},
) {
  const kind = featureHeadKind({ ...defaults, ...options }, teacher.model)
  const opened = await kind.open({
    lineage: 'default',
    incumbent: kind.initial(),
    first: async () => ({ model: kind.initial(), ...LEARNED_FROM_NOBODY }),
    incumbentFrom: LEARNED_FROM_NOBODY,
    saved: undefined,
    others: async () => [],
    forgotten: () => [],
    policy: undefined,
    logger: silentLogger,
    metrics: declareTrainerMetrics(new MetricRegistry()),
    clock: () => 0,
    ...changes,
  })
  for (const window of seen) await opened.admit(window)
  return opened
}

async function solution(of: Awaited<ReturnType<typeof learner>>): Promise<Float32Array> {
  await of.refresh([])
  const [solved] = await of.foundations()
  const projection = featureHeadParameter(solved!.model, 'fc.weight')
  await of.release()
  return projection
}

function difference(a: Float32Array, b: Float32Array): number {
  const size = Math.sqrt(b.reduce((sum, x) => sum + x * x, 0))
  return Math.sqrt(a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0)) / size
}

const [ours, theirs] = [windows.filter(isFirst), windows.filter((one, i) => !isFirst(one, i))]

test('trainers that share a stream solve what one trainer of all of it would, whatever is where', async () => {
  const second = await learner(theirs)
  const others = async () => [{ lineage: 'second', state: await second.state() }]
  const [merged, alone, whole] = [await learner(ours, { others }), await learner(ours), await learner(windows)]
  const expected = await solution(whole)
  expect(difference(await solution(merged), expected)).toBeLessThan(1e-5)
  expect(difference(await solution(alone), expected)).toBeGreaterThan(0.05)
  await second.release()
})

test('a tenant that is forgotten is left out of what others have, too', async () => {
  const second = await learner(theirs)
  const others = async () => [{ lineage: 'second', state: await second.state() }]
  const isOurs = ({ tenant }: { readonly tenant: string }): boolean => tenant === 'us'
  const merged = await learner(ours, { others, forgotten: () => ['them'] })
  await merged.forget({ tenant: 'them', isForgotten: (window) => !isOurs(window), calibration: [] })
  const expected = await solution(await learner(windows.filter(isOurs)))
  expect(difference(await solution(merged), expected)).toBeLessThan(1e-5)
  await second.release()
})

test('a tenant that only others had seen was learned from, too, also by a learner that has continued since', async () => {
  const isOurs = ({ tenant }: { readonly tenant: string }): boolean => tenant === 'us'
  const second = await learner(theirs)
  const asked: string[] = []
  const merging = {
    others: async () => [{ lineage: 'second', state: await second.state() }],
    forgotten: () => asked,
  }
  const merged = await learner(ours.filter(isOurs), merging)
  await merged.refresh([])
  const continued = await learner([], { ...merging, saved: await merged.state() })
  asked.push('them')
  // The other trainer was asked first.
  await second.forget({ tenant: 'them', isForgotten: () => false, calibration: [] })
  for (const one of [merged, continued]) {
    const request = { tenant: 'them', isForgotten: () => false, calibration: [] }
    expect(await one.forget(request)).toBe(true)
    expect(await one.forget(request)).toBe(false)
    const [solved] = await one.foundations()
    const expected = await solution(await learner(windows.filter(isOurs)))
    expect(difference(featureHeadParameter(solved!.model, 'fc.weight'), expected)).toBeLessThan(1e-5)
    await one.release()
  }
  await second.release()
})

test('a learner that continues when everybody was forgotten stands where the lineage began', async () => {
  const first = await learner(ours)
  await first.refresh([])
  for (const tenant of ['us', 'them']) await first.forget({ tenant, isForgotten: () => true, calibration: [] })
  const [begun] = await first.foundations()
  const next = await learner([], { saved: await first.state() })
  const [continued] = await next.foundations()
  expect(continued!.model.parameters).toEqual(begun!.model.parameters)
  for (const one of [first, next]) await one.release()
})

test('sums of other features are refused by the name of their lineage', async () => {
  const second = await learner(theirs, {}, { bilinearFeatures: 16 })
  const others = async () => [{ lineage: 'second', state: await second.state() }]
  const merged = await learner(ours, { others })
  await expect(merged.refresh([])).rejects.toMatchObject({
    code: 'LINEAGES_NOT_MERGEABLE',
    message: expect.stringContaining('lineage second') as string,
  })
  await merged.release()
  await second.release()
})

test('two trainers of one log take each window once, by its partition', async () => {
  const all = records(teacher, 's', 120)
  await world.send(all)
  const first = await world.open({ partitions: [0, 1], mergeLineages: ['second'] })
  const second = await world.open({ lineage: 'second', partitions: [2, 3] })
  const running = [first, second].map(({ trainer }) => trainer.run())
  await world.consumed()
  for (const { trainer } of [first, second]) await trainer.close()
  await Promise.all(running)
  const states = [await world.savedHeadState(first.store), await world.savedHeadState(second.store, 'second')]
  const partitions = states.map(({ offsets }) => offsets.map(({ partition }) => partition).toSorted((a, b) => a - b))
  expect(partitions).toEqual([
    [0, 1],
    [2, 3],
  ])
  const counts = states.map(({ windows: counted }) => Object.values(counted).reduce((a, b) => a + b))
  expect(counts.every((count) => count > 20)).toBe(true)
  expect(counts.reduce((a, b) => a + b)).toBe(120)
})
