import { describe, expect, it } from 'vitest'
import { SlidingQuantile, type RankedScore } from './sliding-quantile.js'
import { seeded } from './testing.js'

describe('the sliding quantile', () => {
  it('equals the sorted last N scores at every step, ties included', () => {
    const random = seeded(2)
    const quantile = new SlidingQuantile(50)
    const all: RankedScore[] = []
    for (let i = 0; i < 500; i++) {
      const entry = { score: Math.floor(random() * 8), lot: random() }
      quantile.add(entry)
      all.push(entry)
      const last = all.slice(-50).toSorted((a, b) => a.score - b.score || a.lot - b.lot)
      for (const share of [0.1, 0.5, 0.9]) {
        const rank = Math.round((1 - share) * (last.length + 1)) - 1
        const expected = rank < 0 ? { score: Number.NEGATIVE_INFINITY, lot: 0 } : last[Math.min(rank, last.length - 1)]
        expect(quantile.threshold(share)).toEqual(expected)
      }
    }
    expect(quantile.size).toBe(50)
  })

  it('has no threshold before the first score, and none that holds back anything at share 1', () => {
    const quantile = new SlidingQuantile(4)
    expect(quantile.threshold(0.5)).toBeUndefined()
    quantile.add({ score: 3, lot: 0.5 })
    expect(quantile.threshold(1)?.score).toBe(Number.NEGATIVE_INFINITY)
  })

  it('orders infinities and refuses NaN', () => {
    const quantile = new SlidingQuantile(3)
    for (const score of [Number.POSITIVE_INFINITY, 0, Number.NEGATIVE_INFINITY]) quantile.add({ score, lot: 0.5 })
    expect(quantile.threshold(0.5)?.score).toBe(0)
    expect(() => quantile.add({ score: Number.NaN, lot: 0 })).toThrow(RangeError)
  })
})
