import { featureHeadParameter } from '@plateau/causal-lm'
import { seededRandom } from '@plateau/speculation'
import type { DraftTargetModel } from '@plateau/model-files'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ClosedFormSolver } from './closed-form-solver.js'
import { BinnedSums } from './learned-bins.js'
import type { SelectionWindow } from './selection-window.js'
import { windowWith } from './testing.js'

const H = 24
const V = 60
const random = seededRandom(9)
const floats = (n: number): Float32Array => Float32Array.from({ length: n }, () => 2 * random() - 1)

const target = {
  config: { hiddenSize: H, vocabSize: V, rmsNormEps: 1e-5 },
  target: { embeddings: floats(V * H), head: floats(V * H), norm: new Float32Array(H).fill(1) },
} as unknown as DraftTargetModel

function window(i: number, n: number): SelectionWindow {
  const statistics = Array.from({ length: n }, () => 0.1 + 0.8 * random())
  const overlap = Array.from({ length: n }, () => random())
  const { rows, ...rest } = windowWith(`sample ${i}`, statistics, { overlap })
  const tokens = Int32Array.from({ length: n }, () => Math.floor(V * random()))
  const listedIds = rows.listedIds.map((id) => id % V)
  return { ...rest, rows: { ...rows, tokens, listedIds, features: floats(n * H), nextFeatures: floats(n * H) } }
}

const windows = [window(0, 40), window(1, 33), window(2, 57)]

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
