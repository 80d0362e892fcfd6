import { featureHeadParameter } from '@plateau/causal-lm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ClosedFormSolver } from './closed-form-solver.js'
import { BinnedSums } from './learned-bins.js'
import type { SelectionWindow } from './selection-window.js'
import { tinyTarget } from './testing.js'

const { target, window } = tinyTarget(9)
const windows = [window('a', 40), window('b', 33), window('c', 57)]

let solver: ClosedFormSolver
beforeAll(async () => void (solver = await ClosedFormSolver.open({ target, vocabulary: undefined, threads: 1 })))
afterAll(() => solver.release())

type Counted = readonly [SelectionWindow, ArrayLike<number>?]

async function solved(parts: readonly Counted[]): Promise<Float32Array> {
  const sums = solver.empty()
  for (const [{ rows }, weights] of parts) await solver.add(sums, rows, weights)
  return featureHeadParameter(await solver.solve(sums), 'fc.weight')
}

function apart(a: Float32Array, b: Float32Array): number {
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))
}

test('a row of weight 0 is as if it were not there, one of weight 2 as if it were there twice', async () => {
  const [a, b] = windows as [SelectionWindow, SelectionWindow]
  const none = new Float32Array(b.rows.length)
  expect(apart(await solved([[a], [b, none]]), await solved([[a]]))).toBeLessThan(1e-5)
  const twice = new Float32Array(a.rows.length).fill(2)
  expect(apart(await solved([[a, twice], [b]]), await solved([[a], [a], [b]]))).toBeLessThan(1e-5)
})

test('sums by bin are together the sums of all', async () => {
  const binned = new BinnedSums(solver)
  const whole = solver.empty()
  for (const one of windows) {
    await binned.add(one)
    await solver.add(whole, one.rows)
  }
  await solver.flush()
  const positions = binned.sums.reduce((sum, { weight }) => sum + weight, 0)
  expect([positions, whole.weight]).toEqual([130, 130])
  expect(binned.sums.filter(({ weight }) => weight > 0).length).toBeGreaterThan(3)
  for (let at = 0; at < whole.moment.length; at += 97) {
    const sum = binned.sums.reduce((total, { moment }) => total + moment[at]!, 0)
    expect(sum).toBeCloseTo(whole.moment[at]!, 4)
  }
})

test('weights of bins are learned from windows of their own, and their mean over positions is 1', async () => {
  const binned = new BinnedSums(solver)
  for (const one of windows.slice(0, 2)) await binned.add(one)
  const { weights, evaluations } = await binned.learn(windows.slice(2), { evaluations: 3 })
  const mass = binned.sums.map(({ weight }) => weight)
  const mean = mass.reduce((sum, m, bin) => sum + m * weights[bin]!, 0) / mass.reduce((sum, m) => sum + m, 0)
  expect(mean).toBeCloseTo(1, 9)
  expect(evaluations).toBeLessThanOrEqual(3)
})
