import { describe, expect, it } from 'vitest'
import { armOf, lotOf } from './arm.js'

const shares = { evaluation: 0.05, control: 0.05 }
const ids = (kind: string): string[] => Array.from({ length: 100_000 }, (_, i) => `${kind}${i}`)

/** Five standard deviations of a share p measured on n draws. */
const slack = (p: number, n: number): number => 5 * Math.sqrt((p * (1 - p)) / n)

describe('arms', () => {
  for (const kind of ['', 'sample-', 'cmpl-8f14e45f-ceea-467f-a8f3-', 'пример-']) {
    it(`get their shares of ids that start with "${kind}", within binomial error`, () => {
      const arms = ids(kind).map((id) => armOf(id, shares))
      for (const arm of ['evaluation', 'control'] as const) {
        const share = arms.filter((a) => a === arm).length / arms.length
        expect(Math.abs(share - 0.05)).toBeLessThan(slack(0.05, arms.length))
      }
    })
  }

  it('are the same for ever: held-out samples stay held out', () => {
    expect(
      ['a', 'sample-17', 'sample-61', 'sample-62'].map((id) => armOf(id, { evaluation: 0.3, control: 0.3 })),
    ).toEqual(['evaluation', 'selected', 'evaluation', 'control'])
  })

  it('do not move into or out of evaluation when the control share changes', () => {
    for (const id of ids('s').slice(0, 2000)) {
      const before = armOf(id, shares) === 'evaluation'
      expect(armOf(id, { ...shares, control: 0.5 }) === 'evaluation').toBe(before)
    }
  })

  it('are all selected when the other shares are zero', () => {
    const arms = ids('s').slice(0, 1000)
    expect(arms.every((id) => armOf(id, { evaluation: 0, control: 0 }) === 'selected')).toBe(true)
  })
})

describe('lots', () => {
  it('are uniform, and unrelated to the arm', () => {
    const control = ids('s').filter((id) => armOf(id, { evaluation: 0, control: 0.2 }) === 'control')
    const low = control.filter((id) => lotOf(id, 0) < 0.5).length / control.length
    expect(Math.abs(low - 0.5)).toBeLessThan(slack(0.5, control.length))
  })

  it('differ between the windows of one sample', () => {
    const lots = Array.from({ length: 1000 }, (_, i) => lotOf('one sample', i))
    expect(new Set(lots).size).toBe(1000)
    const mean = lots.reduce((a, b) => a + b) / lots.length
    expect(Math.abs(mean - 0.5)).toBeLessThan(5 / Math.sqrt(12 * lots.length))
  })
})
