import { describe, expect, it } from 'vitest'
import { distribution, seeded } from './testing.js'
import { energyFromLogSumExp, entropyFromProbabilities, marginOf, perplexityOf } from './token-statistics.js'

describe('token statistics', () => {
  it('entropy is log V for the uniform distribution, 0 for a certain token, and ignores zeros', () => {
    expect(entropyFromProbabilities(new Float64Array(150_000).fill(1 / 150_000))).toBeCloseTo(Math.log(150_000), 9)
    expect(entropyFromProbabilities([1, 0, 0])).toBe(0)
    expect(entropyFromProbabilities([0.5, 0, 0.5])).toBeCloseTo(Math.LN2, 12)
  })

  it('entropy is log V minus KL(p, uniform)', () => {
    const p = distribution(seeded(5), 1000, 4)
    const divergence = p.reduce((sum, x) => sum + x * Math.log(x * 1000), 0)
    expect(entropyFromProbabilities(p)).toBeCloseTo(Math.log(1000) - divergence, 9)
  })

  it('margin is the gap of the first two of a row, wherever the row lies', () => {
    const rows = Float32Array.of(0.5, 0.25, 0.125, 0.75, 0.125, 0.125)
    expect(marginOf(rows, 0, 3, 0.125)).toBe(0.25)
    expect(marginOf(rows, 3, 3, 0)).toBe(0.625)
  })

  it('margin of a row of one token is the smallest that its tail allows', () => {
    expect(marginOf([0.75], 0, 1, 0.25)).toBe(0.5)
    expect(marginOf([0.25], 0, 1, 0.75)).toBe(0)
  })

  it('perplexity of tokens of probability 1/8 is 8; energy is minus the log of the partition sum', () => {
    expect(perplexityOf([Math.log(1 / 8), Math.log(1 / 8)])).toBeCloseTo(8, 12)
    expect(perplexityOf([Math.log(1 / 2), Math.log(1 / 8)])).toBeCloseTo(4, 12)
    expect(energyFromLogSumExp(12.5)).toBe(-12.5)
  })
})
