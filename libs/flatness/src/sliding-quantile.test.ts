import { describe, expect, it } from 'vitest'
import { SlidingQuantile } from './sliding-quantile.js'
import { isBelow, type RankedScore } from './sorted-scores.js'
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
        const beyond = { score: rank < 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY, lot: rank < 0 ? 0 : 1 }
        expect(quantile.threshold(share)).toMatchObject(last[rank] ?? beyond)
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

  it('lets a newcomer pass with the very probability asked for, however little is held', () => {
    const random = seeded(3)
    for (const held of [1, 2, 5]) {
      for (const share of [0.1, 0.3, 0.9]) {
        let passed = 0
        for (let i = 0; i < 20_000; i++) {
          const quantile = new SlidingQuantile(held)
          for (let j = 0; j < held; j++) quantile.add({ score: random(), lot: 0 })
          if (!isBelow({ score: random(), lot: 0 }, quantile.threshold(share, random())!)) passed++
        }
        expect(Math.abs(passed / 20_000 - share)).toBeLessThan(0.011)
      }
    }
  })

  it('counts weights: a share of them, not of entries', () => {
    const quantile = new SlidingQuantile(4)
    for (const [score, weight] of [
      [1, 10],
      [2, 10],
      [3, 10],
      [4, 70],
    ] as const) {
      quantile.add({ score, lot: 0.5, weight })
    }
    // Half of 100 and a mean newcomer lies 32.5 / 70 of the way from 3 to 4.
    expect(quantile.threshold(0.5)?.score).toBe(3)
    expect(quantile.threshold(0.5, 0.53)?.score).toBe(3)
    expect(quantile.threshold(0.5, 0.54)?.score).toBe(4)
    expect(quantile.threshold(0.95)?.score).toBe(1)
    expect(quantile.shareBelow({ score: 3.5, lot: 0.5, weight: 100 }, 0)).toBeCloseTo(30 / 200, 12)
    expect(quantile.shareBelow({ score: 3.5, lot: 0.5, weight: 100 }, 0.5)).toBeCloseTo(80 / 200, 12)
  })

  it('forgets the oldest, and of equal ones that very one', () => {
    const quantile = new SlidingQuantile(8)
    for (const weight of [1, 2, 3]) quantile.add({ score: 1, lot: 0.5, weight })
    quantile.forgetOldest()
    // 2 and 3 are left: a newcomer of weight 5 above both ranks above half.
    expect(quantile.shareBelow({ score: 2, lot: 0.5, weight: 5 }, 0)).toBeCloseTo(0.5, 12)
    for (let i = 0; i < 5; i++) quantile.forgetOldest()
    expect(quantile.size).toBe(0)
    expect(quantile.threshold(0.5)).toBeUndefined()
  })
})
