import { expect, test } from 'vitest'
import { pairedGain } from './paired-gain.js'

test('the gain is the mean difference, its error grows with how windows disagree', () => {
  const incumbent = [0.1, 0.2, 0.3, 0.4]
  const agree = pairedGain([0.2, 0.3, 0.41, 0.49], incumbent, [2, 2])
  expect(agree.gain).toBeCloseTo(0.1, 9)
  const disagree = pairedGain([0.4, 0.5, 0.2, 0.3], incumbent, [2, 2])
  expect(disagree.gain).toBeCloseTo(0.1, 9)
  expect(disagree.standardError).toBeCloseTo(0.2, 9)
  expect(agree.standardError).toBeLessThan(0.01)
})

test('one window proves nothing', () => {
  expect(pairedGain([1, 1], [0, 0], [2]).standardError).toBe(Infinity)
})

test('scores that do not fit the windows are refused', () => {
  expect(() => pairedGain([1], [1], [2])).toThrow(/do not fit/)
})
