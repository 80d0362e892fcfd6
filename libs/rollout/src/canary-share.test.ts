import { armOf } from '@plateau/flatness'
import { goodnessOfFit } from '@plateau/speculation'
import { describe, expect, it } from 'vitest'
import { shareOf } from './canary-share.js'

const samples = Array.from({ length: 20_000 }, (_, i) => `sample-${i}`)
const even = (cells: number): number[] => Array.from({ length: cells }, () => 1 / cells)

function histogram(places: readonly number[], cells: number): number[] {
  const counts = Array.from({ length: cells }, () => 0)
  for (const place of places) counts[Math.floor(place * cells)]!++
  return counts
}

describe("a sample's place in a canary", () => {
  it('is the same whenever and wherever it is asked for', () => {
    expect(shareOf('sample-1', '7')).toBe(shareOf('sample-1', '7'))
    expect(shareOf('sample-1', '7')).toBeCloseTo(0.540533, 6)
  })

  it('is anywhere in [0, 1) as likely, of ids that count up', () => {
    const { statistic, critical } = goodnessOfFit(
      histogram(
        samples.map((id) => shareOf(id, '7')),
        50,
      ),
      even(50),
    )
    expect(statistic).toBeLessThan(critical)
  })

  it('of another version has nothing to do with it', () => {
    // In the middle of one of 100 cells: a row for the one, a column for the other.
    const both = samples.map(
      (id) => (Math.floor(10 * shareOf(id, '7')) + (Math.floor(10 * shareOf(id, '8')) + 0.5) / 10) / 10,
    )
    const { statistic, critical } = goodnessOfFit(histogram(both, 100), even(100))
    expect(statistic).toBeLessThan(critical)
  })

  it('has nothing to do with the arm it was held out by', () => {
    const heldOut = samples.filter((id) => armOf(id, { evaluation: 0.2, control: 0 }) === 'evaluation')
    const { statistic, critical } = goodnessOfFit(
      histogram(
        heldOut.map((id) => shareOf(id, '7')),
        20,
      ),
      even(20),
    )
    expect(statistic).toBeLessThan(critical)
  })
})
