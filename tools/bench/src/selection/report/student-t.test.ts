import { expect, test } from 'vitest'
import { criticalValue, normalDeviate, twoSided } from './student-t.js'

test('the tails are those of printed tables', () => {
  expect(criticalValue(0.05, 1)).toBeCloseTo(12.7062, 4)
  expect(criticalValue(0.05, 4)).toBeCloseTo(2.77645, 5)
  expect(criticalValue(0.01, 30)).toBeCloseTo(2.75, 4)
  expect(criticalValue(0.05, 1e6)).toBeCloseTo(1.95997, 4)
})

test('with many degrees of freedom it is the normal distribution', () => {
  expect(normalDeviate(1)).toBe(0)
  expect(normalDeviate(0.0455)).toBeCloseTo(2, 3)
  expect(normalDeviate(1.973e-9)).toBeCloseTo(6, 3)
})

test('one degree of freedom is the Cauchy distribution', () => {
  for (const t of [0.1, 1, 3, 40]) expect(twoSided(t, 1)).toBeCloseTo(1 - (2 / Math.PI) * Math.atan(t), 10)
})

test('the sign does not matter, zero is certain, and further out is less likely', () => {
  expect(twoSided(-2, 7.5)).toBe(twoSided(2, 7.5))
  expect(twoSided(0, 7.5)).toBe(1)
  expect(twoSided(Number.NaN, 7.5)).toBe(1)
  expect(twoSided(2, 7.5)).toBeGreaterThan(twoSided(2.1, 7.5))
})
