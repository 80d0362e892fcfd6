import { describe, expect, test } from 'vitest'
import { cellsOf, find, fullOf } from './cells.js'
import { judgementsOf } from './judgements.js'
import { madeArms, madeResults } from './testing.js'

const judgements = judgementsOf(cellsOf(madeResults(madeArms))[0]!)
const of = (selector: string, keep = 0.5) =>
  judgements.find(({ treatment }) => treatment.selector === selector && treatment.keep === keep)!

describe('every selector is held', () => {
  test('against the mean of the random draws at the same share', () => {
    expect(of('flatness').overRandom!.difference).toBeCloseTo(-0.0103, 8)
    expect(of('flatness', 0.2).overRandom!.difference).toBeCloseTo(-0.02, 8)
    expect(of('flatness').overRandom!.control.arms.length).toBe(5)
  })

  test('against full data, but full data and random samples are not compared with random', () => {
    expect(of('random').overFull!.difference).toBeCloseTo(-0.0197, 8)
    expect(of('random').overRandom).toBeUndefined()
    expect(of('full', 1).overRandom).toBeUndefined()
    expect(of('full', 1).overFull).toBeUndefined()
  })

  test('with paired intervals, far narrower than those of alpha itself', () => {
    const { interval, overRandom } = of('learned')
    expect(interval.high - interval.low).toBeGreaterThan(0.02)
    expect(overRandom!.interval.high - overRandom!.interval.low).toBeLessThan(0.004)
    expect(overRandom!.interval.low).toBeGreaterThan(0)
  })

  test('with p corrected over those that keep the same share', () => {
    const [learned, flatness] = [of('learned').overRandom!, of('flatness').overRandom!]
    expect(Math.min(learned.corrected / learned.p, flatness.corrected / flatness.p)).toBeGreaterThanOrEqual(1)
    expect(Math.max(learned.corrected / learned.p, flatness.corrected / flatness.p)).toBeCloseTo(2, 6)
    const alone = of('flatness', 0.2).overRandom!
    expect(alone.corrected).toBe(alone.p)
  })
})

test('full data is that of equal epochs where both were run', () => {
  const both = [...madeArms, { selector: 'full', matched: 'epochs' as const, mean: 0.33, used: 2000 }]
  expect(fullOf(cellsOf(madeResults(both))[0]!)!.matched).toBe('epochs')
  expect(find(cellsOf(madeResults(both))[0]!, { selector: 'full' })!.matched).toBe('steps')
})
