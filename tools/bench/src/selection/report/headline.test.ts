import { describe, expect, test } from 'vitest'
import { cellsOf } from './cells.js'
import { computeToFull, learnedCells, worst } from './headline.js'
import { type Made, madeArms, madeResults } from './testing.js'

const cells = (...more: Made[]) => cellsOf(madeResults([...madeArms, ...more]))

describe('learned over random', () => {
  test('is compared over all domains and in each', () => {
    expect(learnedCells(cells()).map(({ cell }) => cell)).toEqual(
      ['all domains', 'chat', 'code'].map((domain) => `closed-form, demo, learned 50 %, ${domain}`),
    )
  })

  test('the worst cell is the lowest in standard errors', () => {
    const lost = cells({ selector: 'learned', keep: 0.2, mean: 0.26 })
    expect(worst(learnedCells(lost))!.cell).toContain('learned 20 %')
    expect(worst(learnedCells(lost))!.standardErrors).toBeLessThan(-2)
    expect(worst(learnedCells(cells()))!.standardErrors).toBeGreaterThan(2)
  })
})

describe('compute to full data', () => {
  const learned = (keep: number, mean: number): Made[] =>
    [1, 2].map((seed) => ({ selector: 'learned', keep, seed, mean: mean + 0.0001 * seed }))
  const to = (...more: Made[]) => computeToFull(cells(...more)[0]!, 'learned', 'here')!

  test('an arm that is below full data beyond noise has not reached it', () => {
    expect(to()).toMatchObject({ reached: false, positions: 0.5, selector: 'learned 50 %' })
    expect(to().difference).toBeCloseTo(-0.01, 8)
  })

  test('of those that reach it, the one that takes least counts, by the larger of its shares', () => {
    const found = to(...learned(0.3, 0.3205), ...learned(0.7, 0.33))
    expect(found).toMatchObject({ reached: true, selector: 'learned 30 %', positions: 0.3 })
    expect(found.share).toBe(found.cpuSeconds)
    expect(found.cpuSeconds).toBeCloseTo(3.1 / 10.1, 10)
  })

  test('an arm whose seeds lie far apart has shown nothing', () => {
    const scattered = [0.25, 0.4].map((mean, i): Made => ({ selector: 'learned', keep: 0.3, seed: i + 1, mean }))
    const found = to(...scattered)
    expect(found.reached).toBe(false)
  })

  test('an arm that took as much has nothing to claim', () => {
    const [cell] = cellsOf(madeResults([madeArms[0]!, { selector: 'learned', keep: 1, mean: 0.33 }]))
    expect(computeToFull(cell!, 'learned', 'here')).toBeUndefined()
  })
})
