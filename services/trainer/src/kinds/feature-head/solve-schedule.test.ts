import { expect, test } from 'vitest'
import { SolveSchedule } from './solve-schedule.js'

test('the first solution waits for positions, not for time', () => {
  const schedule = new SolveSchedule({ firstSolvePositions: 500 }, false)
  schedule.add(499)
  expect(schedule.isDue(499, 1e9)).toBe(false)
  schedule.add(1)
  expect(schedule.isDue(500, 0)).toBe(true)
})

test('later ones come with a share of new positions, or with fewer after a while', () => {
  const schedule = new SolveSchedule({ firstSolvePositions: 500 }, true)
  schedule.begin()
  schedule.solved(0, 0)
  schedule.add(1199)
  expect(schedule.isDue(10_000, 4999)).toBe(false)
  expect(schedule.isDue(10_000, 5000)).toBe(true)
  schedule.add(1)
  expect(schedule.isDue(10_000, 0)).toBe(true)
  schedule.begin()
  schedule.add(191)
  expect(schedule.isDue(10_000, 1e9)).toBe(false)
})

test('solving takes at most three tenths of the time, however much is new', () => {
  const schedule = new SolveSchedule({}, false)
  schedule.begin()
  schedule.solved(1000, 300)
  schedule.add(100_000)
  expect(schedule.isDue(100_000, 1699)).toBe(false)
  expect(schedule.isDue(100_000, 1701)).toBe(true)
})

test('after a failed attempt the first solution is still the first one', () => {
  const schedule = new SolveSchedule({ firstSolvePositions: 500 }, false)
  schedule.add(500)
  schedule.begin()
  schedule.failed(0)
  schedule.add(499)
  expect(schedule.isDue(999, 1e9)).toBe(false)
})
