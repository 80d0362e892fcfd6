import { seededRandom, type Random } from '@plateau/speculation'
import { describe, expect, it } from 'vitest'
import { AcceptanceDrift } from './acceptance-drift.js'
import { unusualResponse, type DriftFinding } from './drift.js'
import { FlatnessDrift } from './flatness-drift.js'
import { populationStability } from './population-stability.js'

describe('the population stability index', () => {
  it('is the sum of (r - e) log(r / e), whatever the counts add up to', () => {
    const byHand = (0.5 - 0.2) * Math.log(0.5 / 0.2) + (0.5 - 0.8) * Math.log(0.5 / 0.8)
    expect(populationStability([20, 80], [50, 50])).toBeCloseTo(byHand, 12)
    expect(populationStability([200, 800], [3, 3])).toBeCloseTo(byHand, 12)
  })

  it('is 0 of the same, the same from both sides, and finite where a bin is empty', () => {
    expect(populationStability([1, 2, 3], [10, 20, 30])).toBeCloseTo(0, 12)
    expect(populationStability([1, 0, 3], [0, 2, 2])).toBeCloseTo(populationStability([0, 2, 2], [1, 0, 3]), 12)
    expect(populationStability([1, 0], [0, 1])).toBeLessThan(20)
    expect(populationStability([], [])).toBe(0)
    expect(populationStability([0, 0], [1, 1])).toBe(0)
    expect(() => populationStability([1], [1, 2])).toThrow(RangeError)
  })
})

describe('drift of flatness', () => {
  /** Windows of 32 positions around a centre. */
  const windowOf = (random: Random, centre: number): number[] =>
    Array.from({ length: 32 }, () => Math.min(1, centre * 2 ** (2 * random() - 1)))

  function observe(drift: FlatnessDrift, random: Random, centre: number, windows: number): DriftFinding[] {
    return Array.from({ length: windows }, () => drift.observe(windowOf(random, centre))).filter((f) => f !== undefined)
  }

  it('says once that the traffic is another, and once that it is settled', () => {
    const random = seededRandom(1)
    const drift = new FlatnessDrift()
    expect(observe(drift, random, 0.05, 1_000)).toEqual([])
    const shifted = observe(drift, random, 0.2, 60)
    expect(shifted).toMatchObject([{ kind: 'flatness-shifted', reference: 0, threshold: 0.25 }])
    expect(shifted[0]!.value).toBeGreaterThanOrEqual(0.25)
    expect(drift.isShifted).toBe(true)
    const settled = observe(drift, random, 0.05, 1_000)
    expect(settled).toMatchObject([{ kind: 'flatness-settled', threshold: 0.1 }])
    expect(settled[0]!.value).toBeLessThanOrEqual(0.1)
  })

  it('settles on the new traffic as well, when that has become what is usual', () => {
    const random = seededRandom(2)
    const drift = new FlatnessDrift()
    observe(drift, random, 0.05, 2_000)
    const kinds = observe(drift, random, 0.2, 6_000).map(({ kind }) => kind)
    expect(kinds).toEqual(['flatness-shifted', 'flatness-settled'])
  })

  it('says nothing of little, nor of an index that swings between the two bounds', () => {
    const drift = new FlatnessDrift({ fastPositions: 4_000 })
    for (let i = 0; i < 31; i++) {
      expect(drift.observe(new Float32Array(64).fill(i % 2 === 0 ? 0.01 : 0.9))).toBeUndefined()
      expect(drift.index).toBe(0)
    }
    const random = seededRandom(3)
    const mixed = new FlatnessDrift()
    observe(mixed, random, 0.05, 1_000)
    observe(mixed, random, 0.2, 60)
    // Between .1 and .25 from either side nothing changes.
    const swings = Array.from({ length: 400 }, (_, i) => {
      const [finding] = observe(mixed, random, i % 2 === 0 ? 0.2 : 0.08, 1)
      return finding === undefined ? [] : [finding.kind]
    }).flat()
    expect(swings.length).toBeLessThanOrEqual(1)
  })

  it('refuses a flatness that cannot be, and windows in the wrong order', () => {
    expect(() => new FlatnessDrift().observe([0])).toThrow(RangeError)
    expect(() => new FlatnessDrift().observe([Number.NaN])).toThrow(RangeError)
    expect(() => new FlatnessDrift({ fastPositions: 10, slowPositions: 10 })).toThrow(RangeError)
  })
})

describe('drift of acceptance', () => {
  const observe = (drift: AcceptanceDrift, key: string, accepted: number, responses: number): DriftFinding[] =>
    Array.from({ length: responses }, () => drift.observe(key, accepted, 40)).filter((f) => f !== undefined)

  it('says once that it fell, and once that it recovered', () => {
    const drift = new AcceptanceDrift()
    expect(observe(drift, 'code', 28, 500)).toEqual([])
    const fell = observe(drift, 'code', 14, 40)
    expect(fell).toMatchObject([{ kind: 'acceptance-fell', threshold: 0.1 }])
    expect(fell[0]!.value).toBeLessThan(fell[0]!.reference - 0.1)
    expect(observe(drift, 'code', 28, 100)).toMatchObject([{ kind: 'acceptance-recovered', threshold: 0.05 }])
  })

  it('says nothing of a beginning, a rise or a small fall', () => {
    const drift = new AcceptanceDrift()
    expect(observe(drift, 'a', 28, 25)).toEqual([])
    expect(observe(drift, 'a', 0, 25)).toEqual([])
    expect(observe(drift, 'b', 14, 200)).toEqual([])
    expect(observe(drift, 'b', 30, 200)).toEqual([])
    expect(observe(drift, 'c', 28, 500)).toEqual([])
    expect(observe(drift, 'c', 25, 500)).toEqual([])
    expect(drift.observe('c', 0, 0)).toBeUndefined()
  })

  it('tells keys apart, of which it holds so many', () => {
    const drift = new AcceptanceDrift({ maxKeys: 2 })
    observe(drift, 'a', 28, 500)
    observe(drift, 'b', 28, 500)
    expect(observe(drift, 'a', 8, 40)).toHaveLength(1)
    observe(drift, 'c', 28, 1)
    // b was seen longest ago: its fall is a beginning now.
    expect(observe(drift, 'b', 8, 40)).toEqual([])
  })
})

describe('an unusual response', () => {
  it('is one of which hardly anything or all but everything is accepted, over many proposals and rounds', () => {
    expect(unusualResponse(1, 64, 64)).toBe('very-low')
    expect(unusualResponse(126, 128, 26)).toBe('very-high')
    expect(unusualResponse(2, 64, 64)).toBeUndefined()
    expect(unusualResponse(125, 128, 26)).toBeUndefined()
    expect(unusualResponse(0, 63, 63)).toBeUndefined()
    expect(unusualResponse(127, 127, 26)).toBeUndefined()
    expect(unusualResponse(200, 200, 2)).toBeUndefined()
  })
})
