import { seededRandom } from '@plateau/speculation'
import { addRows, emptySums, solveRidge, subtractSums, type RidgeSums } from '@plateau/training'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RidgeSolver } from './ridge-solver.js'

let solver: RidgeSolver
beforeAll(async () => {
  solver = await RidgeSolver.create({ threads: 1 })
})
afterAll(() => solver.release())

function sumsOf(inputs: number, outputs: number, rows: number, seed: number): RidgeSums {
  const random = seededRandom(seed)
  const floats = (n: number): Float32Array => Float32Array.from({ length: n }, () => 2 * random() - 1)
  const sums = emptySums(inputs, outputs)
  addRows(
    sums,
    floats(rows * inputs),
    floats(rows * outputs),
    floats(rows).map((w) => 1 + w),
  )
  // Whoever fills the upper triangle may leave anything in it.
  for (let i = 0; i < inputs; i++) sums.gram.fill(Number.NaN, i * inputs + i + 1, (i + 1) * inputs)
  return sums
}

const worst = (a: Float64Array, b: Float64Array): number =>
  a.length === b.length ? a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0) : Infinity

describe('the closed form by matrix products', () => {
  test.each([1, 7, 255, 256, 257, 530])('equals the plain solution for %i inputs', async (inputs) => {
    const sums = sumsOf(inputs, 5, 40, inputs)
    const lambda = Float64Array.from({ length: inputs }, (_, i) => 0.5 + (i % 7))
    for (const each of [2, lambda]) {
      const fast = await solver.solve(sums, each)
      expect(worst(fast, solveRidge(sums, each))).toBeLessThan(1e-12)
    }
  })

  test('leaves the sums as they were', async () => {
    const sums = sumsOf(300, 3, 20, 1)
    const before = structuredClone(sums)
    await solver.solve(sums, 1)
    expect(sums).toEqual(before)
  })

  test('is the solution whose moment is the given one', async () => {
    const sums = sumsOf(270, 4, 400, 2)
    const w = await solver.solve(sums, 1e-9)
    expect(worst(await solver.moment(sums, w), sums.moment)).toBeLessThan(1e-6)
  })

  test('refuses what the plain solution refuses, with the same words', async () => {
    const sums = sumsOf(260, 2, 10, 3)
    subtractSums(sums, sumsOf(260, 2, 12, 4))
    const refusal = (() => {
      try {
        solveRidge(sums, 0.1)
      } catch (error) {
        return (error as Error).message
      }
    })()
    expect(refusal).toMatch(/not positive definite: pivot \d+ of 260/)
    await expect(solver.solve(sums, 0.1)).rejects.toThrow(/not positive definite: pivot \d+ of 260/)
    await expect(solver.solve(sums, new Float64Array(3))).rejects.toThrow(/3 numbers for 260 inputs/)
  })

  test('other work gets its turn while it runs', async () => {
    let turns = 0
    let isRunning = true
    const count = (): void => {
      turns++
      if (isRunning) setImmediate(count)
    }
    setImmediate(count)
    await solver.solve(sumsOf(600, 3, 10, 5), 1)
    isRunning = false
    expect(turns).toBeGreaterThan(8)
  })
})
