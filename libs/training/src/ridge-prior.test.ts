import { describe, expect, test } from 'vitest'
import { decodeRidgePrior, encodeRidgePrior, priorSums, ridgePrior } from './ridge-prior.js'
import { solveRidge } from './ridge-solve.js'
import { addRows, emptySums, mergeSums, type RidgeSums } from './ridge-sums.js'

const D = 24
const O = 3

/** Inputs that hang together, as states of a model do, of very different sizes. */
function seen(n: number, seed: number, sign = 1): RidgeSums {
  const value = (i: number): number =>
    Math.sin(seed * 12.9898 + i * 78.233) * 43758.5453 - Math.round(Math.sin(seed * 12.9898 + i * 78.233) * 43758.5453)
  const sums = emptySums(D, O)
  for (let r = 0; r < n; r++) {
    const common = value(r * 100)
    const x = Float32Array.from({ length: D }, (_, i) => 10 ** ((i % 5) - 2) * (common + value(r * 100 + i + 1)))
    const y = Float32Array.from(
      { length: O },
      (_, o) => sign * (x[o]! + 0.01 * x[o + 2]!) + 0.1 * value(r * 100 + 60 + o),
    )
    addRows(sums, x, y, Float32Array.of(1.5))
  }
  return sums
}

/** moment = gram W, as RidgeSolver.moment does it at size. */
function withMoment(sums: RidgeSums, w: Float64Array): RidgeSums {
  for (let i = 0; i < D; i++) {
    for (let o = 0; o < O; o++) {
      let sum = 0
      for (let j = 0; j < D; j++) sum += sums.gram[Math.max(i, j) * D + Math.min(i, j)]! * w[j * O + o]!
      sums.moment[i * O + o] = sum
    }
  }
  return sums
}

const worst = (a: Float64Array, b: Float64Array): number => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))

describe('a prior', () => {
  const past = seen(400, 1)
  const w = solveRidge(past, 1e-6)
  const read = decodeRidgePrior(encodeRidgePrior(ridgePrior(past)))

  test('solved alone is the head that it came with', () => {
    expect(worst(solveRidge(withMoment(priorSums(read, O, 1000), w), 1e-9), w)).toBeLessThan(1e-6)
  })

  test('is gram per position, rounded', () => {
    const sums = priorSums(read, O, 50)
    expect(sums.weight).toBe(50)
    for (let i = 0; i < D; i++) {
      for (let j = 0; j <= i; j++) {
        const size = Math.sqrt(past.gram[i * D + i]! * past.gram[j * D + j]!) / past.weight
        const expected = past.gram[i * D + j]! / past.weight
        expect(Math.abs(sums.gram[i * D + j]! / 50 - expected) / size).toBeLessThan(2.1e-3)
      }
    }
  })

  test('gives way to what is seen, the sooner the less it stands for', () => {
    const present = seen(300, 2, -1)
    const learned = solveRidge(present, 1e-6)
    /** How far predictions for what is seen now are from those learned from it alone. */
    const after = (positions: number): number => {
      const sums = withMoment(priorSums(read, O, positions), w)
      mergeSums(sums, present)
      const difference = solveRidge(sums, 1e-6).map((value, at) => value - learned[at]!)
      const { moment } = withMoment(structuredClone(present), difference)
      return difference.reduce((sum, value, at) => sum + value * moment[at]!, 0)
    }
    expect(after(1)).toBeLessThan(after(300) / 3)
    expect(after(300)).toBeLessThan(after(100_000) / 2)
  })

  test('takes two bytes a pair of inputs, and damaged bytes are refused', () => {
    const bytes = encodeRidgePrior(read)
    expect(bytes.length).toBe(16 + 4 * D + D * (D - 1))
    // As files are read: somewhere in a larger memory.
    const inside = Buffer.concat([Buffer.from('before'), bytes]).subarray(6)
    expect(decodeRidgePrior(inside)).toEqual(read)
    expect(() => decodeRidgePrior(bytes.subarray(0, 400))).toThrow(/truncated/)
    expect(() => decodeRidgePrior(bytes.subarray(1))).toThrow(/do not begin/)
    expect(() => decodeRidgePrior(bytes.fill(0, 16, 24))).toThrow(/scale 0/)
    expect(() => ridgePrior(emptySums(D, O))).toThrow(/input 0 of 24 was never seen/)
    expect(() => priorSums(read, O, 0)).toThrow(/0 positions/)
  })
})
