import { normal, seededRandom } from '@plateau/speculation'
import { expect, test } from 'vitest'
import { trendOf } from './trend.js'

/** `correlation` of one sample's noise with the next one's. */
function series(slope: number, correlation: number, seed: number): [number, number][] {
  const random = seededRandom(seed)
  let noise = 0
  return Array.from({ length: 150 }, (_, i) => {
    noise = correlation * noise + normal(random)
    return [i / 30, 100 + (slope * i) / 30 + noise]
  })
}

test('an exact line has its slope and no doubt', () => {
  const trend = trendOf(Array.from({ length: 30 }, (_, i) => [i, 3 * i + 1]))!
  expect(trend.slope).toBeCloseTo(3)
  expect(trend.high - trend.low).toBeCloseTo(0)
})

test('the interval covers the true slope about as often as it says, also where samples resemble each other', () => {
  for (const correlation of [0, 0.8]) {
    const runs = Array.from({ length: 400 }, (_, seed) => trendOf(series(2, correlation, seed + 1))!)
    const covered = runs.filter(({ low, high }) => low <= 2 && 2 <= high).length / runs.length
    expect(covered).toBeGreaterThan(0.9)
  }
})

test('too few samples, or all at once, say nothing', () => {
  expect(trendOf([[0, 1]])).toBeUndefined()
  expect(trendOf(Array.from({ length: 30 }, () => [1, 1]))).toBeUndefined()
})
