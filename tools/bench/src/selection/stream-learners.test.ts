import { afterAll, beforeAll, expect, test } from 'vitest'
import { ClosedFormSolver } from './closed-form-solver.js'
import { positionsOf } from './selection-window.js'
import { streamLearner, type OnlineArm } from './stream-learners.js'
import { tinyTarget } from './testing.js'

const { target, window } = tinyTarget(4)
const stream = Array.from({ length: 160 }, (_, i) => window(`sample ${i}`, 60 + (i % 5)))
const calibration = Array.from({ length: 6 }, (_, i) => window(`calibration ${i}`, 40))

let solver: ClosedFormSolver
beforeAll(async () => void (solver = await ClosedFormSolver.open({ target, vocabulary: undefined, threads: 1 })))
afterAll(() => solver.release())

/** Kept positions of each window, and what the sums say was taken. */
async function run(arm: OnlineArm) {
  const learner = streamLearner(arm, solver, calibration)
  const kept: number[] = []
  for (const one of stream) {
    const weights = await learner.select(one)
    if (weights !== undefined) await learner.add(one, weights)
    kept.push(weights?.filter((weight) => weight > 0).length ?? 0)
  }
  await solver.flush()
  return { kept, taken: (await learner.total()).weight }
}

const sum = (values: readonly number[]): number => values.reduce((total, one) => total + one, 0)
const all = positionsOf(stream)

test('full takes everything that arrives', async () => {
  const { kept, taken } = await run({ selector: 'full', unit: 'sample', keep: 1, seed: 1 })
  expect([sum(kept), taken]).toEqual([all, all])
})

test('a rule keeps its share of the stream after its warm-up, of samples or of positions, and the sums are of what it kept', async () => {
  for (const unit of ['sample', 'token'] as const) {
    const { kept, taken } = await run({ selector: 'flatness', unit, keep: 0.5, seed: 1 })
    expect(taken).toBe(sum(kept))
    const later = sum(kept.slice(40)) / positionsOf(stream.slice(40))
    expect(Math.abs(later - 0.5)).toBeLessThan(0.1)
  }
})

test('learned keeps everything until it has learned, then its share', async () => {
  const { kept, taken } = await run({ selector: 'learned', unit: 'token', keep: 0.5, seed: 1 })
  expect(taken).toBe(sum(kept))
  expect(kept.slice(0, 90)).toEqual(stream.slice(0, 90).map(({ rows }) => rows.length))
  const later = sum(kept.slice(110)) / positionsOf(stream.slice(110))
  expect(Math.abs(later - 0.5)).toBeLessThan(0.1)
})
