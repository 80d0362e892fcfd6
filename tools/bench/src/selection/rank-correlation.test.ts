import { expect, test } from 'vitest'
import { rankCorrelation } from './rank-correlation.js'

test('any rising curve is a correlation of 1, any falling one of -1', () => {
  const x = [3, -1, 0.5, 8, 2]
  expect(rankCorrelation(x, x.map(Math.exp))).toBeCloseTo(1, 12)
  expect(
    rankCorrelation(
      x,
      x.map((one) => -(one ** 3)),
    ),
  ).toBeCloseTo(-1, 12)
})

test('equal values share the mean of their ranks', () => {
  // Ranks 0.5 0.5 2 3 and 0 1 2 3: covariance 4.5, variances 4.5 and 5.
  expect(rankCorrelation([1, 1, 2, 3], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 12)
})
