import { expect, it } from 'vitest'
import { mean, quantile, weightedQuantile } from './statistics.js'

const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)

it('a quantile is a value of the list, and the last one is its largest', () => {
  expect([0.5, 0.99, 1].map((share) => quantile(hundred, share))).toEqual([50, 99, 100])
  expect(quantile([7], 0.01)).toBe(7)
})

it('weight counts as so many values', () => {
  const values = [
    { value: 9, weight: 1 },
    { value: 1, weight: 98 },
    { value: 5, weight: 1 },
  ]
  expect([0.98, 0.99, 1].map((share) => weightedQuantile(values, share))).toEqual([1, 5, 9])
})

it('thirds that do not add up to one exactly still reach the end', () => {
  const thirds = [1, 2, 3].map((value) => ({ value, weight: 1 / 3 }))
  expect(weightedQuantile(thirds, 1)).toBe(3)
})

it('of nothing there is neither', () => {
  expect(quantile([], 0.5)).toBeNaN()
  expect(mean([])).toBeNaN()
})
