import { describe, expect, it } from 'vitest'
import { flatnessFromProbabilities, flatnessFromSumSquares } from './flatness.js'
import { distribution, seeded, sumSquaresOf } from './testing.js'

/** The paper's equation 6 as it is printed, with the uniform vector written out. */
function cosineWithUniform(p: Float64Array): number {
  const u = 1 / p.length
  let dot = 0
  let pp = 0
  let uu = 0
  for (const x of p) {
    dot += x * u
    pp += x * x
    uu += u * u
  }
  return dot / (Math.sqrt(pp) * Math.sqrt(uu))
}

describe('flatness', () => {
  for (const vocabSize of [1, 2, 3, 64, 4096, 150_000]) {
    for (const peak of [0, 0.1, 3, 20]) {
      it(`from sum p^2 is the cosine with the uniform distribution: V=${vocabSize}, peak ${peak}`, () => {
        const p = distribution(seeded(vocabSize + peak), vocabSize, peak)
        const expected = cosineWithUniform(p)
        expect(Math.abs(flatnessFromSumSquares(sumSquaresOf(p), vocabSize) / expected - 1)).toBeLessThan(1e-10)
        expect(Math.abs(flatnessFromProbabilities(p) / expected - 1)).toBeLessThan(1e-10)
      })
    }
  }

  it('is 1 for the uniform distribution and 1/sqrt(V) for a certain token', () => {
    expect(flatnessFromProbabilities(new Float64Array(1000).fill(1 / 1000))).toBeCloseTo(1, 12)
    expect(flatnessFromProbabilities(Float64Array.of(1, 0, 0, 0))).toBe(0.5)
    expect(flatnessFromSumSquares(1, 150_000)).toBeCloseTo(1 / Math.sqrt(150_000), 15)
  })

  it('sees only how many tokens share the mass where they tie and the rest is zero', () => {
    for (const ties of [1, 2, 7, 100]) {
      const p = new Float64Array(100).fill(1 / ties, 0, ties)
      expect(flatnessFromProbabilities(p)).toBeCloseTo(Math.sqrt(ties / 100), 12)
      expect(flatnessFromSumSquares(1 / ties, 100)).toBeCloseTo(Math.sqrt(ties / 100), 12)
    }
  })

  it('stays in its range when fp32 rounding pushed sum p^2 out of its own', () => {
    expect(flatnessFromSumSquares(1.000001, 4096)).toBe(1 / 64)
    expect(flatnessFromSumSquares(1 / 4096.01, 4096)).toBe(1)
    expect(flatnessFromSumSquares(0, 4096)).toBe(1)
  })
})
