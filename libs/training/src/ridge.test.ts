import { describe, expect, test } from 'vitest'
import { solveRidge } from './ridge-solve.js'
import {
  addProducts,
  addRows,
  decaySums,
  decodeSums,
  emptySums,
  encodeSums,
  mergeSums,
  subtractSums,
  type RidgeSums,
} from './ridge-sums.js'

const D = 13
const O = 5

interface Rows {
  x: Float32Array
  y: Float32Array
  weights: Float32Array
}

function rows(n: number, seed: number): Rows {
  const random = generator(seed)
  const x = Float32Array.from({ length: n * D }, () => random() * 2 - 1)
  const y = Float32Array.from({ length: n * O }, () => random() * 4 - 2)
  return { x, y, weights: Float32Array.from({ length: n }, () => 0.2 + random()) }
}

function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function slice(all: Rows, from: number, to: number): Rows {
  return {
    x: all.x.slice(from * D, to * D),
    y: all.y.slice(from * O, to * O),
    weights: all.weights.slice(from, to),
  }
}

function sumsOf(...parts: Rows[]): RidgeSums {
  const sums = emptySums(D, O)
  for (const part of parts) addRows(sums, part.x, part.y, part.weights)
  return sums
}

/** Gauss-Jordan with pivoting on the normal equations, straight from the definition. */
function plainRidge({ x, y, weights }: Rows, lambda: number): Float64Array {
  const a = Array.from({ length: D }, (_, i) => {
    const line = Array.from({ length: D + O }, () => 0)
    for (let r = 0; r < weights.length; r++) {
      for (let j = 0; j < D; j++) line[j]! += weights[r]! * x[r * D + i]! * x[r * D + j]!
      for (let o = 0; o < O; o++) line[D + o]! += weights[r]! * x[r * D + i]! * y[r * O + o]!
    }
    line[i]! += lambda
    return line
  })
  for (let col = 0; col < D; col++) {
    let best = col
    for (let r = col; r < D; r++) if (Math.abs(a[r]![col]!) > Math.abs(a[best]![col]!)) best = r
    ;[a[col], a[best]] = [a[best]!, a[col]!]
    const pivot = a[col]![col]!
    for (let j = 0; j < D + O; j++) a[col]![j]! /= pivot
    for (let r = 0; r < D; r++) {
      if (r === col) continue
      const factor = a[r]![col]!
      for (let j = 0; j < D + O; j++) a[r]![j]! -= factor * a[col]![j]!
    }
  }
  return Float64Array.from(a.flatMap((line) => line.slice(D)))
}

function worstDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity
  let worst = 0
  for (let i = 0; i < actual.length; i++) worst = Math.max(worst, Math.abs(actual[i]! - expected[i]!))
  return worst
}

describe('the closed form', () => {
  test('equals plain weighted least squares', () => {
    for (const lambda of [0.01, 3, 100]) {
      const data = rows(60, 7)
      expect(worstDifference(solveRidge(sumsOf(data), lambda), plainRidge(data, lambda))).toBeLessThan(1e-9)
    }
  })

  test('holds each input to zero by its own lambda', () => {
    const data = rows(60, 8)
    const sums = sumsOf(data)
    const even = new Float64Array(D).fill(3)
    expect(worstDifference(solveRidge(sums, even), solveRidge(sums, 3))).toBe(0)
    const held = solveRidge(sums, even.with(4, 1e12)).subarray(4 * O, 5 * O)
    expect(worstDifference(held, new Float64Array(O))).toBeLessThan(1e-9)
    expect(() => solveRidge(sums, new Float64Array(D - 1))).toThrow(/12 numbers for 13 inputs/)
    expect(() => solveRidge(sums, even.with(2, -1))).toThrow(/got -1/)
  })

  test('recovers an exact linear map when lambda vanishes', () => {
    const data = rows(80, 3)
    const truth = Float64Array.from({ length: D * O }, (_, i) => Math.sin(i))
    for (let r = 0; r < 80; r++) {
      for (let o = 0; o < O; o++) {
        let sum = 0
        for (let i = 0; i < D; i++) sum += data.x[r * D + i]! * truth[i * O + o]!
        data.y[r * O + o] = sum
      }
    }
    expect(worstDifference(solveRidge(sumsOf(data), 1e-9), truth)).toBeLessThan(1e-5)
  })

  test('is the same from any split and order of the sums', () => {
    const data = rows(90, 11)
    const whole = solveRidge(sumsOf(data), 5)
    const merged = emptySums(D, O)
    for (const [from, to] of [
      [50, 90],
      [0, 1],
      [17, 50],
      [1, 17],
    ] as const)
      mergeSums(merged, sumsOf(slice(data, from, to)))
    expect(worstDifference(solveRidge(merged, 5), whole)).toBeLessThan(1e-10)
    expect(merged.weight).toBeCloseTo(sumsOf(data).weight, 9)
  })

  test('after subtracting a sample equals never having seen it', () => {
    const data = rows(70, 5)
    const sums = sumsOf(data)
    subtractSums(sums, sumsOf(slice(data, 20, 45)))
    const never = sumsOf(slice(data, 0, 20), slice(data, 45, 70))
    expect(worstDifference(solveRidge(sums, 2), solveRidge(never, 2))).toBeLessThan(1e-10)
  })

  test('a row of weight two counts as the row twice, and of weight zero not at all', () => {
    const data = rows(30, 9)
    const doubled = { ...data, weights: data.weights.map((w) => 2 * w) }
    expect(worstDifference(solveRidge(sumsOf(doubled), 4), solveRidge(sumsOf(data, data), 4))).toBeLessThan(1e-10)
    const silent = { ...rows(5, 1), weights: new Float32Array(5) }
    expect(worstDifference(solveRidge(sumsOf(data, silent), 4), solveRidge(sumsOf(data), 4))).toBeLessThan(1e-12)
  })

  test('decay weighs the past down', () => {
    const past = rows(40, 21)
    const present = rows(40, 22)
    const sums = sumsOf(past)
    decaySums(sums, 0.25)
    addRows(sums, present.x, present.y, present.weights)
    const weighted = sumsOf({ ...past, weights: past.weights.map((w) => w / 4) }, present)
    expect(worstDifference(solveRidge(sums, 1), solveRidge(weighted, 1))).toBeLessThan(1e-7)
  })

  test('products computed elsewhere add like rows', () => {
    const data = rows(25, 2)
    const reference = sumsOf(data)
    const part = (row: number, column: number, height: number, width: number) => ({
      row,
      column,
      rows: height,
      columns: width,
      data: Float32Array.from({ length: height * width }, (_, at) => {
        const [i, j] = [row + Math.floor(at / width), column + (at % width)]
        return reference.gram[Math.max(i, j) * D + Math.min(i, j)]!
      }),
    })
    const sums = emptySums(D, O)
    const parts = [part(0, 0, 6, 6), part(6, 0, D - 6, 6), part(6, 6, D - 6, D - 6)]
    addProducts(sums, parts, Float32Array.from(reference.moment), reference.weight)
    expect(worstDifference(solveRidge(sums, 3), solveRidge(reference, 3))).toBeLessThan(1e-5)
    expect(() => addProducts(sums, [part(6, 6, 8, 7)], new Float32Array(D * O), 1)).toThrow(/8 x 7 of 13 x 13/)
  })

  test('survives encoding bit by bit', () => {
    const sums = sumsOf(rows(33, 4))
    const copy = decodeSums(encodeSums(sums))
    expect(copy.gram).toEqual(sums.gram)
    expect(copy.moment).toEqual(sums.moment)
    expect(copy.weight).toBe(sums.weight)
    expect(() => decodeSums(encodeSums(sums).subarray(0, 800))).toThrow(/truncated/)
  })

  test('refuses sums that are not positive definite', () => {
    const sums = emptySums(D, O)
    expect(() => solveRidge(sums, 0)).toThrow(/not positive definite/)
    subtractSums(sums, sumsOf(rows(5, 6)))
    expect(() => solveRidge(sums, 0.1)).toThrow(/not positive definite/)
  })

  test('refuses rows of the wrong shape and weights that are not finite', () => {
    const sums = emptySums(D, O)
    expect(() => addRows(sums, new Float32Array(D), new Float32Array(O), new Float32Array(2))).toThrow(/2 rows need/)
    expect(() => addRows(sums, new Float32Array(D), new Float32Array(O), new Float32Array([Number.NaN]))).toThrow(
      /weight/,
    )
  })
})
