import { describe, expect, it } from 'vitest'
import { float32AtLeast, float32AtMost } from './outward.js'
import { seeded } from './testing.js'

describe('outward rounding', () => {
  it('brackets a double by two neighbouring floats, or gives the number itself', () => {
    const random = seeded(1)
    const numbers = [0, 1, -1, 0.1, -0.1, 1e-300, -1e-300, 1 + 2 ** -30, 2 - 2 ** -40]
    for (let i = 0; i < 2000; i++) numbers.push((random() - 0.5) * 2 ** (random() * 80 - 40))
    for (const x of numbers) {
      const low = float32AtMost(x)
      const high = float32AtLeast(x)
      expect(low).toBeLessThanOrEqual(x)
      expect(high).toBeGreaterThanOrEqual(x)
      expect([Math.fround(low), Math.fround(high)]).toEqual([low, high])
      const gap = high - low
      expect(gap).toBeLessThanOrEqual(Math.max(2 ** -149, Math.abs(x) * 2 ** -23))
    }
    expect(float32AtMost(0.5)).toBe(0.5)
  })
})
