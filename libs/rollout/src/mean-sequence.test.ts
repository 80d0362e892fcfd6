import { normal, seededRandom, type Random } from '@plateau/speculation'
import { describe, expect, it } from 'vitest'
import { MeanSequence } from './mean-sequence.js'

/** Numbers in [-1, 1] one after the other, each with its conditional mean. */
type Source = () => { readonly x: number; readonly mean: number }

const sources: Readonly<Record<string, (random: Random) => Source>> = {
  independent: (random) => () => ({ x: (random() + random() - 1) * 0.4, mean: 0 }),
  'autocorrelated, with a mean that wanders': (random) => {
    let x = 0
    return () => {
      const mean = 0.9 * x
      x = mean + (random() - 0.5) * 0.2
      return { x, mean }
    }
  },
  'seldom and large': (random) => () => ({ x: random() < 0.02 ? 1 : -0.02 / 0.98, mean: 0 }),
  'certain for long, then the opposite': (random) => {
    let n = 0
    return () => {
      const mean = n++ % 200 < 100 ? 0.8 : -0.8
      return { x: mean + (random() - 0.5) * 0.2, mean }
    }
  },
  'one of the ends': (random) => () => ({ x: random() < 0.5 ? 1 : -1, mean: 0 }),
}

describe('a confidence sequence for a mean', () => {
  for (const [name, source] of Object.entries(sources)) {
    it(`misses the running conditional mean at any time as seldom as it says: ${name}`, () => {
      const { above, below } = misses(source(seededRandom(1)), 400, 0.1)
      // Three standard errors over the rate: a sequence that misses half as often again is found.
      const bound = 400 * 0.1 + 3 * Math.sqrt(400 * 0.1 * 0.9)
      expect(above).toBeLessThan(bound)
      expect(below).toBeLessThan(bound)
    })
  }

  it('gives little away: independent numbers do get past it', () => {
    const { above, below } = misses(sources['independent']!(seededRandom(1)), 400, 0.1)
    expect(above + below).toBeGreaterThan(400 * 0.2 * 0.2)
  })

  it('is nearly as narrow as the best wager known beforehand, from a hundred numbers on', () => {
    const random = seededRandom(2)
    const halfWidths = [0, 0, 0]
    const runs = 20
    for (let run = 0; run < runs; run++) {
      const sequence = new MeanSequence(-1, 1)
      for (let n = 1; n <= 1_000; n++) {
        sequence.observe(Math.max(-1, Math.min(1, 0.15 * normal(random))))
        const place = [100, 300, 1_000].indexOf(n)
        if (place >= 0) halfWidths[place]! += (sequence.upperBound(0.025) - sequence.lowerBound(0.025)) / 2 / runs
      }
    }
    // Of a normal with a known variance, looked at once: sd sqrt(2 log(1 / .025) / n) = .0407, .0235, .0129.
    expect(halfWidths[0]).toBeLessThan(0.0407 * 1.5)
    expect(halfWidths[1]).toBeLessThan(0.0235 * 1.25)
    expect(halfWidths[2]).toBeLessThan(0.0129 * 1.25)
  })

  it('rules out exactly what the wealth of plain products rules out', () => {
    const random = seededRandom(3)
    const numbers = Array.from({ length: 60 }, () => 0.3 + 0.2 * (random() - 0.5))
    const sequence = new MeanSequence(-1, 1)
    for (const x of numbers) sequence.observe(x)
    for (const errorRate of [0.2, 0.01]) {
      const bound = sequence.lowerBound(errorRate)
      expect(plainWealth(numbers, bound)).toBeCloseTo(1 / errorRate, 3)
      expect(sequence.isAbove(bound - 1e-6, errorRate)).toBe(true)
      expect(sequence.isAbove(bound + 1e-6, errorRate)).toBe(false)
    }
  })

  it('treats both sides alike', () => {
    const random = seededRandom(4)
    const [one, mirrored] = [new MeanSequence(-1, 1), new MeanSequence(-1, 1)]
    for (let i = 0; i < 50; i++) {
      const x = random() ** 2
      one.observe(x)
      mirrored.observe(-x)
    }
    expect(one.lowerBound(0.05)).toBeCloseTo(-mirrored.upperBound(0.05), 12)
    expect(one.upperBound(0.05)).toBeCloseTo(-mirrored.lowerBound(0.05), 12)
  })

  it('knows nothing at first, and any range', () => {
    const sequence = new MeanSequence(0, 10)
    expect([sequence.lowerBound(0.05), sequence.upperBound(0.05), sequence.mean]).toEqual([0, 10, 5])
    for (let i = 0; i < 400; i++) sequence.observe(i % 2 === 0 ? 6 : 8)
    expect(sequence.mean).toBeCloseTo(7, 9)
    expect(sequence.variance).toBeCloseTo(1, 9)
    expect(sequence.lowerBound(0.05)).toBeGreaterThan(6.7)
    expect(sequence.upperBound(0.05)).toBeLessThan(7.3)
  })

  it('refuses what is outside its range, NaN among it', () => {
    const sequence = new MeanSequence(-1, 1)
    for (const x of [1.01, -2, Number.NaN]) expect(() => sequence.observe(x)).toThrow(RangeError)
    expect(() => new MeanSequence(1, 1)).toThrow(RangeError)
    expect(sequence.count).toBe(0)
    sequence.observe(1 + 1e-6)
    expect(sequence.mean).toBe(1)
  })
})

/** Runs in which the running conditional mean was ruled out at some time, from above and from below. */
function misses(next: Source, runs: number, errorRate: number): { readonly above: number; readonly below: number } {
  let [above, below] = [0, 0]
  for (let run = 0; run < runs; run++) {
    const sequence = new MeanSequence(-1, 1)
    let [sum, isAbove, isBelow] = [0, false, false]
    for (let n = 1; n <= 600; n++) {
      const { x, mean } = next()
      sequence.observe(x)
      sum += mean
      isAbove ||= sequence.isAbove(sum / n, errorRate)
      isBelow ||= sequence.isBelow(sum / n, errorRate)
    }
    above += isAbove ? 1 : 0
    below += isBelow ? 1 : 0
  }
  return { above, below }
}

/** The wealth of the class comment, multiplied out for the wager .9 / 2^j and mixed with 1 / (j + 1) (j + 2). */
function plainWealth(numbers: readonly number[], mean: number): number {
  let mixed = 0
  for (let j = 0; j < 12; j++) {
    const wager = 0.9 / 2 ** j
    let [wealth, sum] = [1, 0]
    numbers.forEach((x, n) => {
      const guess = Math.min(sum / (n + 16), 0.95 / wager - 1)
      wealth *= (1 + wager * (x - guess)) * Math.exp(wager * (guess - mean))
      sum += x
    })
    mixed += wealth / ((j + 1) * (j + 2))
  }
  return mixed
}
