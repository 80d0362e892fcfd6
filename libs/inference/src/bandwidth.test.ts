import { expect, test } from 'vitest'
import { measureBandwidth, timesOfReading } from './bandwidth.js'

test('a step that takes as long as reading its weights once is at 1', () => {
  expect(timesOfReading(10_000, 100e6, 10e9)).toBeCloseTo(1)
  expect(timesOfReading(15_000, 100e6, 10e9)).toBeCloseTo(1.5)
})

test('bandwidth is a positive number of bytes per second', async () => {
  const bytesPerSecond = await measureBandwidth({ threads: 1, bytes: 2 ** 20 })
  expect(bytesPerSecond).toBeGreaterThan(0)
  expect(bytesPerSecond).toBeLessThan(Infinity)
})
