import { describe, expect, test } from 'vitest'
import { seededRandom } from '@plateau/speculation'
import { compare } from './compare.js'
import type { Judged } from './judged.js'

const judged = (alpha: number[][], exact = false, positions = alpha[0]!.map(() => 10)): Judged => ({
  positions,
  alpha,
  exact,
})

describe('two exact selectors', () => {
  const found = compare(judged([[0.2, 0.4, 0.6]], true), judged([[0.1, 0.4, 0.5]], true))

  test('are a paired t test over samples', () => {
    const [mean, sd] = [0.2 / 3, Math.sqrt((2 * 0.0333333 ** 2 + 0.0666667 ** 2) / 2)]
    expect(found.difference).toBeCloseTo(mean, 10)
    expect(found.standardError).toBeCloseTo(sd / Math.sqrt(3), 6)
    // Two standard errors, but only three samples.
    expect(found.standardErrors).toBeCloseTo(1.3301, 3)
    expect(found.freedom).toBeCloseTo(2, 10)
    expect(found.p).toBeCloseTo(0.1835, 4)
  })

  test('count samples by their positions', () => {
    const weighted = compare(judged([[0.2, 0.4]], true, [30, 10]), judged([[0.1, 0.4]], true, [30, 10]))
    expect(weighted.difference).toBeCloseTo(0.075, 10)
  })
})

describe('seeds', () => {
  const steady = [0.3, 0.3, 0.3]
  const drawn = judged([steady.map((x) => x - 0.01), steady, steady.map((x) => x + 0.01)])

  test('of both sides add their variance of a mean, with few degrees of freedom', () => {
    const found = compare(judged([[0.32, 0.32, 0.32]], true), drawn)
    expect(found.standardError).toBeCloseTo(0.01 / Math.sqrt(3), 8)
    expect(found.freedom).toBeCloseTo(2, 8)
  })

  test('that a side has only one of are taken to vary as the other side does', () => {
    const found = compare(judged([[0.32, 0.32, 0.32]]), drawn)
    expect(found.standardError).toBeCloseTo(0.01 * Math.sqrt(1 + 1 / 3), 8)
  })

  test('that neither side has more than one of are taken from a selector drawn alike', () => {
    const [one, other] = [judged([[0.32, 0.32, 0.32]]), judged([steady])]
    expect(compare(one, other, drawn).standardError).toBeCloseTo(0.01 * Math.SQRT2, 8)
  })

  test('of which nothing is known make every difference noise', () => {
    const found = compare(judged([[0.9, 0.8, 0.7]]), judged([steady]))
    expect(found).toMatchObject({ standardError: Infinity, standardErrors: 0, p: 1 })
  })
})

test('without a difference, one test in twenty is below .05', () => {
  const random = seededRandom(5)
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const draw = (samples: readonly number[], seeds: number) =>
    judged(
      Array.from({ length: seeds }, () => {
        const shift = 0.01 * normal()
        return samples.map((x) => x + shift + 0.05 * normal())
      }),
    )
  let below = 0
  for (let run = 0; run < 2000; run++) {
    const samples = Array.from({ length: 40 }, () => 0.3 + 0.1 * normal())
    if (compare(draw(samples, 5), draw(samples, 5)).p < 0.05) below++
  }
  // The two parts both see the seeds' own noise in samples, so that the test errs on the careful side.
  expect(below / 2000).toBeLessThan(0.06)
  expect(below / 2000).toBeGreaterThan(0.01)
})
