import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { adamwReferenceStep, defaultAdamWOptions } from './adamw-reference.js'
import { AdamW } from './adamw.js'

/** Odd sizes: below, at and above the width of a vector and of a cache line. */
const shapes = new Map<string, readonly number[]>([
  ['matrix', [7, 19]],
  ['vector', [17]],
  ['one', [1]],
  ['four', [2, 2]],
  ['three', [3]],
])

describe('AdamW in WebAssembly', () => {
  it.each([
    { kind: 'short gradients', size: 1e-3 },
    { kind: 'gradients that are clipped', size: 40 },
  ])('equals the plain version: $kind', ({ size }) => {
    const optimizer = new AdamW(shapes)
    optimizer.loadParameters(arrays(1, 1))
    const plain = new Map([...arrays(1, 1)].map(([name, w]) => [name, { w, m: zerosLike(w), v: zerosLike(w) }]))
    for (let t = 1; t <= 5; t++) {
      const learningRate = 0.01 * t
      const gradients = arrays(t * 31, size)
      const norm = Math.hypot(...[...gradients.values()].flatMap((values) => [...values]))
      const { gradientNorm, applied } = optimizer.step(gradients, learningRate)
      expect(applied).toBe(true)
      expect(gradientNorm / norm).toBeCloseTo(1, 5)
      for (const [name, slots] of plain) {
        const decay = shapes.get(name)!.length > 1 ? defaultAdamWOptions.weightDecay : 0
        const clip = Math.min(1, 1 / norm)
        adamwReferenceStep({ ...slots, g: gradients.get(name)! }, t, learningRate, clip, decay, defaultAdamWOptions)
      }
    }
    for (const [name, { w, m, v }] of plain) {
      expect(worstDifference(optimizer.state.parameters.get(name)!, w)).toBeLessThan(2e-6)
      expect(worstDifference(optimizer.state.firstMoments.get(name)!, m)).toBeLessThan(1e-7)
      expect(worstDifference(optimizer.state.secondMoments.get(name)!, v)).toBeLessThan(1e-7)
    }
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 3e38])(
    'leaves everything as it was when a gradient holds %d',
    (bad) => {
      const optimizer = new AdamW(shapes)
      optimizer.loadParameters(arrays(1, 1))
      optimizer.step(arrays(2, 1), 0.1)
      const before = copyOf(optimizer.state.parameters)
      const gradients = arrays(3, 1)
      gradients.get('vector')![16] = bad
      expect(optimizer.step(gradients, 0.1).applied).toBe(false)
      expect(copyOf(optimizer.state.parameters)).toEqual(before)
      expect(optimizer.state.steps).toBe(1)
    },
  )

  it('continues from a loaded state as if never interrupted', () => {
    const whole = new AdamW(shapes)
    whole.loadParameters(arrays(1, 1))
    whole.step(arrays(2, 1), 0.1)
    const continued = new AdamW(shapes)
    continued.load(whole.state)
    whole.step(arrays(3, 1), 0.1)
    continued.step(arrays(3, 1), 0.1)
    expect(copyOf(continued.state.parameters)).toEqual(copyOf(whole.state.parameters))
  })

  it('moves nothing when it receives gradients, and says their norm', () => {
    const optimizer = new AdamW(shapes)
    optimizer.loadParameters(arrays(1, 1))
    const gradients = arrays(2, 1)
    const squares = [...gradients.values()].flatMap((values) => [...values]).reduce((sum, g) => sum + g * g, 0)
    expect(optimizer.receive(gradients)).toBeCloseTo(Math.sqrt(squares), 4)
    expect(copyOf(optimizer.state.parameters)).toEqual(copyOf(arrays(1, 1)))
    expect(optimizer.state.steps).toBe(0)
  })

  it('takes gradients that were written into its own memory as they are', () => {
    const copied = new AdamW(shapes)
    const inPlace = new AdamW(shapes)
    for (const optimizer of [copied, inPlace]) optimizer.loadParameters(arrays(1, 1))
    for (const [name, values] of arrays(2, 1)) inPlace.gradients.get(name)!.set(values)
    expect(inPlace.step(inPlace.gradients, 0.1)).toEqual(copied.step(arrays(2, 1), 0.1))
    expect(copyOf(inPlace.state.parameters)).toEqual(copyOf(copied.state.parameters))
  })

  it('shrinks matrices without a gradient, but not vectors', () => {
    const optimizer = new AdamW(shapes, { weightDecay: 0.5 })
    optimizer.loadParameters(new Map([...arrays(1, 1)].map(([name, data]) => [name, data.fill(2)])))
    optimizer.step(new Map([...arrays(1, 1)].map(([name, data]) => [name, data.fill(0)])), 0.1)
    expect(optimizer.state.parameters.get('matrix')![5]).toBeCloseTo(2 * (1 - 0.1 * 0.5), 6)
    expect(optimizer.state.parameters.get('vector')![5]).toBe(2)
  })

  it('names the parameter whose gradient is missing or too short', () => {
    const optimizer = new AdamW(shapes)
    const gradients = arrays(1, 1)
    gradients.set('vector', new Float32Array(16))
    expect(() => optimizer.step(gradients, 0.1)).toThrow('vector needs 17 values, got 16')
    gradients.delete('vector')
    expect(() => optimizer.step(gradients, 0.1)).toThrow('vector needs 17 values, got none')
  })
})

it('the committed kernel is what its source compiles to', () => {
  const script = join(import.meta.dirname, '..', 'scripts', 'build-adamw.ts')
  expect(execFileSync(process.execPath, [script, '--check'], { encoding: 'utf8' })).toContain('adamw kernel')
})

/** Deterministic values in [-size, size]. */
function arrays(seed: number, size: number): Map<string, Float32Array> {
  let n = seed
  const next = () => size * Math.sin((n += 1) * 12.9898)
  return new Map(
    [...shapes].map(([name, shape]) => [name, Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next)]),
  )
}

function zerosLike(values: Float32Array): Float32Array {
  return new Float32Array(values.length)
}

function copyOf(state: ReadonlyMap<string, Float32Array>): Map<string, Float32Array> {
  return new Map([...state].map(([name, data]) => [name, data.slice()]))
}

function worstDifference(a: Float32Array, b: Float32Array): number {
  expect(a).toHaveLength(b.length)
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))
}
