import { normal, seededRandom, type Random } from '@plateau/speculation'
import { describe, expect, it } from 'vitest'
import { AcceptanceTest } from './acceptance-test.js'

const options = { margin: 0.1, falseRejection: 0.05 }

/** A response whose proposals share how well the draft does on it. */
function response(random: Random, acceptance: number, judged: number): [accepted: number, judged: number] {
  const own = Math.min(1, Math.max(0, acceptance + 0.15 * normal(random)))
  let accepted = 0
  for (let i = 0; i < judged; i++) if (random() < own) accepted++
  return [accepted, judged]
}

describe('the test of live acceptance', () => {
  it('calls a draft worse that is at the margin as seldom as it says, however responses differ', () => {
    const random = seededRandom(1)
    let said = 0
    for (let run = 0; run < 150; run++) {
      const test = new AcceptanceTest(options)
      for (let i = 0; i < 200 && !test.isWorse(); i++) {
        test.observe('candidate', ...response(random, 0.5, 40))
        test.observe('incumbent', ...response(random, 0.6, 40))
      }
      said += test.isWorse() ? 1 : 0
    }
    expect(said).toBeLessThan(150 * (0.05 + 3 * Math.sqrt((0.05 * 0.95) / 150)))
  })

  it('finds one that accepts .3 less within some tens of responses, also beside few of the incumbent', () => {
    const random = seededRandom(2)
    for (let run = 0; run < 20; run++) {
      const test = new AcceptanceTest(options)
      for (let i = 0; i < 120; i++) {
        test.observe('candidate', ...response(random, 0.4, 40))
        if (i % 2 === 0) test.observe('incumbent', ...response(random, 0.7, 40))
      }
      expect(test.isWorse()).toBe(true)
      expect(test.evidence().high).toBeLessThan(-0.1)
    }
  })

  it('a response counts once, however many proposals it has; short ones count together', () => {
    const test = new AcceptanceTest(options)
    test.observe('candidate', 4_000, 5_000)
    expect(test.evidence().count).toBe(1)
    for (let i = 0; i < 7; i++) test.observe('candidate', 2, 4)
    expect(test.arm('candidate')).toEqual({ units: 1, judged: 5_000, acceptance: 0.8 })
    test.observe('candidate', 2, 4)
    expect(test.arm('candidate')).toEqual({ units: 2, judged: 5_032, acceptance: 0.65 })
    expect(test.isWorse()).toBe(false)
  })

  it('says nothing of one arm alone, and refuses what cannot be', () => {
    const test = new AcceptanceTest(options)
    for (let i = 0; i < 500; i++) test.observe('candidate', 0, 40)
    expect(test.isWorse()).toBe(false)
    test.observe('incumbent', 0, 0)
    expect(() => test.observe('incumbent', 3, 2)).toThrow(RangeError)
    expect(() => test.observe('incumbent', Number.NaN, 2)).toThrow(RangeError)
  })
})
