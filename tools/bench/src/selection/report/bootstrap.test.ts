import { expect, test } from 'vitest'
import { seededRandom } from '@plateau/speculation'
import { bootstrap, interval, minus } from './bootstrap.js'

const samples = Array.from({ length: 100 }, (_, i) => (i % 10) / 10)
const positions = samples.map(() => 7)
const judged = (alpha: number[][]) => ({ positions, alpha, exact: false })

test('the interval of one draft is what the normal approximation says', () => {
  const [row] = bootstrap([judged([samples])], seededRandom(1), 4000)
  const { low, high } = interval(row!)
  const standardError = 0.28723 / Math.sqrt(100)
  expect(low).toBeCloseTo(0.45 - 1.96 * standardError, 2)
  expect(high).toBeCloseTo(0.45 + 1.96 * standardError, 2)
})

test('two drafts see the same samples, so that a constant difference has no width', () => {
  const [a, b] = bootstrap([judged([samples]), judged([samples.map((x) => x + 0.1)])], seededRandom(2), 200)
  const { low, high } = interval(minus(b!, a!))
  expect(low).toBeCloseTo(0.1, 10)
  expect(high).toBeCloseTo(0.1, 10)
})

test('seeds that differ widen the interval of a difference', () => {
  const spread = judged([samples.map((x) => x - 0.02), samples, samples.map((x) => x + 0.02)])
  const [a, b] = bootstrap([judged([samples]), spread], seededRandom(3), 2000)
  const { low, high } = interval(minus(b!, a!))
  // Of three values with replacement: a standard deviation of .02 sqrt(2/3) / sqrt(3).
  expect(high - low).toBeCloseTo(2 * 1.96 * 0.00943, 2)
})

test('the same seed gives the same rows', () => {
  const run = () => bootstrap([judged([samples])], seededRandom(4), 50)
  expect(run()).toEqual(run())
})
