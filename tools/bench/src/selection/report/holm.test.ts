import { expect, test } from 'vitest'
import { holm } from './holm.js'

test('the smallest p is multiplied by the number of tests, each next by one less, never below the one before', () => {
  expect(holm([0.04, 0.01, 0.03])).toEqual([0.06, 0.03, 0.06])
  expect(holm([0.9, 0.8])).toEqual([1, 1])
  expect(holm([])).toEqual([])
})
