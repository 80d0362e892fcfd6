import { describe, expect, it } from 'vitest'
import { trafficOf, windowWith } from '../testing.js'
import { OVERCONFIDENT } from './overconfident.js'
import { LEAST_KNOWN } from './by-position.js'
import { strategyNamed, strategyNames } from './registry.js'
import type { WindowStatistics } from './strategy.js'

const UNKNOWN = Number.NaN
/** Three positions; a draft proposed at the last two. */
const window = windowWith({
  flatness: [0.25, 0.5, 0.75],
  entropy: [1, 2, 6],
  top1: [0.75, 0.5, 0.25],
  margin: [0.5, 0.25, 0],
  energy: [-8, -9, -10],
  tokenLogProb: [-1, -2, -3],
  draftOverlap: [UNKNOWN, 0.75, 0.5],
  draftGain: [UNKNOWN, 0.25, -0.125],
  draftEntropy: [UNKNOWN, 2, 3],
  vocabSize: 64,
  perplexity: Math.exp(2),
})
const undrafted = windowWith({ flatness: [0.25, 0.5, 0.75] })

const score = (name: string, of: WindowStatistics = window, before: readonly WindowStatistics[] = []): number =>
  strategyNamed(name).score(of, before)
const positions = (name: string, of: WindowStatistics = window): number[] => [...strategyNamed(name).positions(of)]

describe('on three positions by hand', () => {
  it.each<[string, number, number[]]>([
    ['none', 0, [0, 0, 0]],
    ['length', -3, [-3, -3, -3]],
    ['flatness', 0.5, [0.25, 0.5, 0.75]],
    ['least-flat', -0.5, [-0.25, -0.5, -0.75]],
    ['median-flatness', 0.5, [0.25, 0.5, 0.75]],
    ['batch-flatness', 0.5, [0.25, 0.5, 0.75]],
    ['renyi2', (Math.log(4) + Math.log(16) + Math.log(36)) / 3, [Math.log(4), Math.log(16), Math.log(36)]],
    ['entropy', 3, [1, 2, 6]],
    ['top1', -0.5, [-0.75, -0.5, -0.25]],
    ['margin', -0.25, [-0.5, -0.25, -0]],
    ['energy', -9, [-8, -9, -10]],
    ['perplexity', Math.exp(2), [1, 2, 3]],
    ['draft-gap', 0.375, [UNKNOWN, 0.25, 0.5]],
    ['flat-gap', (0.125 + 0.375) / 2, [UNKNOWN, 0.125, 0.375]],
    ['peaked-gap', (0.5 + 0.5 / 0.75) / 2, [UNKNOWN, 0.5, 0.5 / 0.75]],
    ['draft-gain', 0.0625, [UNKNOWN, 0.25, -0.125]],
    ['overconfident', 0.5, [0.25, 0.5, 0.75]],
  ])('%s', (name, ofWindow, ofPositions) => {
    expect(score(name)).toBeCloseTo(ofWindow, 6)
    // fp32; -0 is 0.
    expect(positions(name).map((x) => x + 0)).toEqual(ofPositions.map((x) => Math.fround(x) + 0))
  })
})

describe('strategies', () => {
  it('median-flatness takes the middle of an even number', () => {
    expect(score('median-flatness', windowWith({ flatness: [0.9, 0.1, 0.25, 0.35] }))).toBeCloseTo(0.3, 6)
  })

  it('batch-flatness is the mean over all positions of the window and those before it', () => {
    const before = [windowWith({ flatness: [0.2] }), windowWith({ flatness: [0.1, 0.1] })]
    expect(score('batch-flatness', window, before)).toBeCloseTo((1.5 + 0.2 + 0.2) / 6, 6)
  })

  it('renyi2 is not moved as far by one very flat position as flatness is', () => {
    const even = windowWith({ flatness: [0.3, 0.3, 0.3, 0.3] })
    const oneFlat = windowWith({ flatness: [0.15, 0.15, 0.15, 0.9] })
    expect(score('flatness', oneFlat)).toBeGreaterThan(score('flatness', even))
    expect(score('renyi2', oneFlat)).toBeLessThan(score('renyi2', even))
  })

  it('overconfident keeps sure and wrong positions before the flattest, and no others', () => {
    const sure = windowWith({
      flatness: [0.2, 0.2, 1, 0.2],
      draftOverlap: [0.05, 0.9, 0.05, UNKNOWN],
      draftEntropy: [0.1, 0.1, 4, UNKNOWN],
      vocabSize: 64,
    })
    const [wrong, right, unsure, unknown] = positions('overconfident', sure)
    expect(wrong).toBeCloseTo(1 + 0.95 * (1 - 0.1 / Math.log(64)), 5)
    expect(wrong!).toBeGreaterThan(1 + OVERCONFIDENT)
    expect([right, unsure, unknown].map((x) => Math.fround(x!))).toEqual([0.2, 1, 0.2].map(Math.fround))
  })

  it('that ask about the draft rank no window by a few probes', () => {
    const probed = (positions: number) =>
      windowWith({
        flatness: Array.from({ length: 20 }, () => 0.5),
        draftOverlap: Array.from({ length: 20 }, (_, i) => (i < positions ? 0.25 : UNKNOWN)),
      })
    expect(score('draft-gap', probed(LEAST_KNOWN - 1))).toBeNaN()
    expect(score('draft-gap', probed(LEAST_KNOWN))).toBeCloseTo(0.75, 6)
  })

  it('that ask about the draft know nothing where none took part, or its gain was not recorded', () => {
    for (const name of ['draft-gap', 'flat-gap', 'peaked-gap', 'draft-gain']) {
      expect(score(name, undrafted)).toBeNaN()
      expect(positions(name, undrafted).every(Number.isNaN)).toBe(true)
    }
    expect(score('draft-gain', windowWith({ flatness: [0.5], draftOverlap: [0.5] }))).toBeNaN()
    expect(score('overconfident', undrafted)).toBeCloseTo(0.5, 6)
    expect(positions('perplexity', windowWith({ flatness: [0.5], tokenLogProb: [] }))).toEqual([UNKNOWN])
  })

  it('each have a number for every position, and change nothing of the window', () => {
    for (const one of [...trafficOf(20, { sizes: [1, 3, 7], drafted: 0.5 }), undrafted]) {
      const before = structuredClone(one)
      for (const name of strategyNames) {
        expect(positions(name, one)).toHaveLength(one.flatness.length)
        score(name, one)
      }
      expect(one).toEqual(before)
    }
  })

  it('random ranks windows and positions unrelated to one another', () => {
    const windows = trafficOf(2000, { sizes: [2] })
    const lots = windows.map((one) => [one.lot, ...positions('random', one)])
    for (const [a, b] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const) {
      const covariance = lots.reduce((sum, row) => sum + (row[a]! - 0.5) * (row[b]! - 0.5), 0) / lots.length
      // Standard error of a correlation of 2000 pairs: .022.
      expect(Math.abs(covariance * 12)).toBeLessThan(0.08)
    }
  })
})
