import { describe, expect, it } from 'vitest'
import { seededRandom } from './random.js'
import { StepTimes } from './step-times.js'

/** Steps of SmolLM2-135M over one position, 8-bit weights, two cores. */
const measured = [1, 1.0, 1.21, 1.28, 1.52, 1.69, 1.86, 2.01, 2.14]

function seen(rounds: number, positionsOf: (round: number) => number, levelUs = 9000) {
  const times = new StepTimes(9)
  const random = seededRandom(3)
  for (let round = 0; round < rounds; round++) {
    const s = positionsOf(round)
    times.observe(s, levelUs * measured[s - 1]! * (0.95 + 0.1 * random()))
  }
  return times
}

describe('times of a target step', () => {
  it('take any shape: a second position that is free, a third that is not', () => {
    const times = seen(200, (round) => 1 + (round % 9))
    measured.forEach((shape, i) => expect(times.at(i + 1) / 9000).toBeCloseTo(shape, 1))
    expect(times.at(2) / times.at(1)).toBeLessThan(1.03)
  })

  it('lie on a line between numbers of positions that were seen', () => {
    const times = seen(60, (round) => (round % 2 === 0 ? 1 : 5))
    expect(times.at(3) / 9000).toBeCloseTo((1 + 1.52) / 2, 1)
    expect(times.at(9) / 9000).toBeCloseTo(1 + 8 * 0.13, 1)
  })

  it('of one number alone say that a further position costs a seventh', () => {
    const times = seen(5, () => 1)
    expect(times.at(1) / 9000).toBeCloseTo(1, 1)
    expect(times.at(8) / times.at(1)).toBeCloseTo(2, 1)
  })

  it('follow the machine: when all becomes slower, what was not tried again is slower too', () => {
    const times = seen(90, (round) => 1 + (round % 9))
    for (let round = 0; round < 60; round++) times.observe(1, 18_000)
    expect(times.at(1) / 18_000).toBeCloseTo(1, 1)
    // It was 1.52 of the old level, .76 of the new one; a part of the change is taken for the shape of the first.
    expect(times.at(5) / 18_000).toBeGreaterThan(1.25)
  })

  it('are not spoiled by a step that was disturbed', () => {
    const times = seen(90, (round) => 1 + (round % 9))
    times.observe(4, 5e6)
    expect(times.at(4) / times.at(1)).toBeLessThan(1.5)
    for (let round = 0; round < 12; round++) times.observe(1, 9000)
    expect(times.at(1) / 9000).toBeLessThan(1.1)
  })

  it('tell what was seen least', () => {
    const times = seen(50, (round) => [1, 2, 4, 5][round % 4]!)
    expect(times.leastSeen(9)).toEqual({ positions: 3, weight: 0 })
    expect(times.leastSeen(2).weight).toBeGreaterThan(5)
    expect(times.timed(3)).toBe(false)
  })
})
