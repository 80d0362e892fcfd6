import { describe, expect, it } from 'vitest'
import { meanInverse, WEIGHT_CAP, weightsOf } from './closed-form-weights.js'
import { seeded } from './testing.js'

describe('closed-form weights', () => {
  it('are proportional to 1/flatness with mean 1 over the traffic they are scaled by', () => {
    const random = seeded(4)
    const flatness = Float32Array.from({ length: 1000 }, () => 0.1 + 0.5 * random())
    const weights = weightsOf('inverse-flatness', flatness, meanInverse(flatness))
    expect(weights.reduce((a, b) => a + b) / weights.length).toBeCloseTo(1, 4)
    for (let i = 1; i < 1000; i++) {
      expect(weights[i]! * flatness[i]!).toBeCloseTo(weights[0]! * flatness[0]!, 5)
    }
  })

  it('never exceed the cap: one sure position among flat traffic does not dominate', () => {
    const weights = weightsOf('inverse-flatness', Float32Array.of(1 / 64, 1), 1.1)
    expect(weights[0]).toBe(WEIGHT_CAP)
    expect(weights[1]).toBeCloseTo(1 / 1.1, 6)
  })

  it('are 1 each when uniform', () => {
    expect([...weightsOf('uniform', Float32Array.of(0.1, 0.9), 3)]).toEqual([1, 1])
  })
})
