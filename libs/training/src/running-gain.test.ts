import { expect, test } from 'vitest'
import { RunningGain } from './running-gain.js'

test('measurements count by their precision', () => {
  const running = new RunningGain()
  running.add({ gain: 1, standardError: 1 })
  running.add({ gain: 2, standardError: 0.5 })
  const { gain, standardError, count } = running.value
  expect(gain).toBeCloseTo((1 + 4 * 2) / 5, 12)
  expect(standardError).toBeCloseTo(Math.sqrt(1 / 5), 12)
  expect(count).toBe(2)
})

test('measurements that scatter more than they say make the error larger', () => {
  const running = new RunningGain()
  for (const gain of [3, -3, 3, -3]) running.add({ gain, standardError: 1 })
  // chi^2 is 36 for 3 degrees of freedom.
  expect(running.value.standardError).toBeCloseTo(Math.sqrt(36 / 3 / 4), 12)
})

test('what ages becomes uncertain, and keeps its mean', () => {
  const running = new RunningGain()
  running.add({ gain: 1, standardError: 1 })
  running.decay(0.25)
  expect(running.value).toEqual({ gain: 1, standardError: 2, count: 0.25 })
})

test('what proves nothing is left out', () => {
  const running = new RunningGain()
  for (const standardError of [Infinity, 0, Number.NaN]) running.add({ gain: 1, standardError })
  running.add({ gain: Number.NaN, standardError: 1 })
  expect(running.value).toEqual({ gain: 0, standardError: Infinity, count: 0 })
})
