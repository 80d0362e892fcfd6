import { normal, seededRandom } from '@plateau/speculation'
import { describe, expect, test } from 'vitest'
import type { LearnedBinWeights } from './bin-weight-search.js'
import { learnBinWeights, weightedSums } from './learn-bin-weights.js'
import { pairedGain } from './paired-gain.js'
import { solveRidge } from './ridge-solve.js'
import { addRows, emptySums, type RidgeSums } from './ridge-sums.js'

const D = 12
const POSITIONS = 20

interface Windows {
  readonly x: Float32Array
  readonly y: Float32Array
  readonly lengths: readonly number[]
}

interface World {
  readonly sums: readonly RidgeSums[]
  readonly heldOut: Windows
  /** Many more of the same: what is true. */
  readonly truth: Windows
}

/** A linear world in which rows of bin b are seen with noise of `noise[b]`. */
function worldOf(seed: number, noise: readonly number[], rowsPerBin = 60, heldOutWindows = 40): World {
  const random = seededRandom(seed)
  const standard = () => normal(random)
  const w = Array.from({ length: D }, standard)
  const draw = (n: number, binOf: () => number) => {
    const x = Float32Array.from({ length: n * D }, standard)
    const y = Float32Array.from({ length: n }, (_, row) => {
      const clean = w.reduce((sum, weight, d) => sum + weight * x[row * D + d]!, 0)
      return clean + noise[binOf()]! * standard()
    })
    return { x, y }
  }
  const sums = noise.map((_, bin) => {
    const one = emptySums(D, 1)
    const { x, y } = draw(rowsPerBin, () => bin)
    addRows(one, x, y, new Float32Array(rowsPerBin).fill(1))
    return one
  })
  const windows = (count: number): Windows => ({
    ...draw(count * POSITIONS, () => Math.floor(random() * noise.length)),
    lengths: Array.from({ length: count }, () => POSITIONS),
  })
  return { sums, heldOut: windows(heldOutWindows), truth: windows(2000) }
}

const solve = (sums: RidgeSums): Float64Array => solveRidge(sums, 0.1)

/** exp(-|error|): like alpha, in (0, 1] and deaf to how wrong what is very wrong is. */
function alphaOf(w: Float64Array, { x, y }: Windows): Float64Array {
  return Float64Array.from(y, (value, row) => {
    const predicted = w.reduce((sum, weight, d) => sum + weight * x[row * D + d]!, 0)
    return Math.exp(-Math.abs(value - predicted))
  })
}

const learn = ({ sums, heldOut }: World, changes: { evaluations?: number; previous?: LearnedBinWeights } = {}) =>
  learnBinWeights({
    coordinates: sums.map((_, bin) => [bin]),
    sums,
    windowLengths: heldOut.lengths,
    evaluations: 16,
    solve,
    score: (w) => alphaOf(w, heldOut),
    ...changes,
  })

/** What the weights really gain over all equal. */
function trueGain({ sums, truth }: World, { weights }: LearnedBinWeights) {
  const of = (w: readonly number[]) => alphaOf(solve(weightedSums(sums, w)), truth)
  return pairedGain(of(weights), of(sums.map(() => 1)), truth.lengths)
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

describe('weights of bins', () => {
  const seeds = Array.from({ length: 20 }, (_, seed) => seed + 1)
  const all = (noise: readonly number[]) =>
    Promise.all(
      seeds.map(async (seed) => {
        const world = worldOf(seed, noise)
        const found = await learn(world)
        return { found, true: trueGain(world, found) }
      }),
    )

  test('a bin of pure noise loses its weight, and the gain that is said is there', async () => {
    const runs = await all([0.3, 0.3, 0.3, 0.3, 8])
    for (const { found, true: real } of runs) {
      expect(found.weights[4]).toBeLessThan(0.5)
      expect(real.gain).toBeGreaterThan(0)
      expect(found.gain).toBeGreaterThan(2 * found.standardError)
    }
    // The error holds: what is said and what is true differ by as much as it says, over the runs.
    const off = runs.map(({ found, true: real }) => (found.gain - real.gain) / found.standardError)
    expect(Math.abs(mean(off))).toBeLessThan(1.5)
  })

  test('a slope over the bins is found', async () => {
    const world = worldOf(3, [0.1, 0.3, 1, 2, 4])
    const { weights } = await learn(world)
    expect(weights[0]).toBeGreaterThan(weights[2]!)
    expect(weights[2]).toBeGreaterThan(weights[4]!)
  })

  test('where nothing helps they nearly always stay equal, and what is taken costs next to nothing', async () => {
    const runs = await all([1, 1, 1, 1, 1])
    const equal = runs.filter(({ found }) => !found.isChanged)
    expect(equal.length).toBeGreaterThanOrEqual(16)
    for (const { found } of equal) {
      expect(found).toMatchObject({ weights: [1, 1, 1, 1, 1], gain: 0, standardError: 0 })
    }
    for (const { found, true: real } of runs) {
      expect(real.gain).toBeGreaterThan(-found.tried.standardError)
    }
    expect(mean(runs.map(({ true: real }) => real.gain))).toBeGreaterThan(-0.0005)
  })

  test('their mean over the mass is 1', async () => {
    const world = worldOf(1, [0.3, 0.3, 0.3, 0.3, 8])
    const { weights } = await learn(world)
    const mass = world.sums.map(({ weight }) => weight)
    expect(mean(weights.map((weight, bin) => weight * mass[bin]!)) / mean(mass)).toBeCloseTo(1, 9)
  })

  test('bins of two dimensions, and bins that have no place in one of them, are weighed alike', async () => {
    // Rows of the second dimension's upper half are noise, whatever the first one says; one bin has no second dimension.
    const places = [
      [0, Number.NaN],
      [0, 0],
      [0, 1],
      [1, Number.NaN],
      [1, 0],
      [1, 1],
    ]
    const world = worldOf(2, [0.3, 0.3, 8, 0.3, 0.3, 8])
    const { sums, heldOut } = world
    const found = await learnBinWeights({
      coordinates: places,
      sums,
      windowLengths: heldOut.lengths,
      evaluations: 20,
      solve,
      score: (w) => alphaOf(w, heldOut),
    })
    expect(Math.max(found.weights[2]!, found.weights[5]!)).toBeLessThan(
      Math.min(found.weights[0]!, found.weights[1]!, found.weights[3]!, found.weights[4]!),
    )
    expect(trueGain(world, found).gain).toBeGreaterThan(0)
  })

  test('no more solutions than are allowed', async () => {
    const world = worldOf(1, [0.3, 0.3, 0.3, 0.3, 8])
    let solved = 0
    const { evaluations } = await learnBinWeights({
      coordinates: world.sums.map((_, bin) => [bin]),
      sums: world.sums,
      windowLengths: world.heldOut.lengths,
      evaluations: 6,
      solve: (sums) => {
        solved++
        return solve(sums)
      },
      score: (w) => alphaOf(w, world.heldOut),
    })
    expect(solved).toBe(evaluations)
    expect(solved).toBeLessThanOrEqual(6)
  })
})

describe('the weights of the last time', () => {
  const noisy = [0.3, 0.3, 0.3, 0.3, 8]
  test('stay where nothing is better beyond noise', async () => {
    const world = worldOf(1, noisy)
    const first = await learn(world, { evaluations: 40 })
    const second = await learn(world, { evaluations: 40, previous: first })
    expect(second.isChanged).toBe(false)
    expect(second.weights).toEqual(first.weights)
    expect(second.gain).toBeGreaterThan(2 * second.standardError)
  })

  test('go when they turn out worse than all equal', async () => {
    const world = worldOf(1, [1, 1, 1, 1, 1], 15)
    const previous = { weights: [4.8, 0.05, 0.05, 0.05, 0.05], gain: 0.005, standardError: 0.005 }
    const found = await learn(world, { previous })
    expect(found.isChanged).toBe(true)
    expect(found.weights).not.toEqual(previous.weights)
    expect(trueGain(world, found).gain).toBeGreaterThan(trueGain(world, previous).gain)
  })
})
