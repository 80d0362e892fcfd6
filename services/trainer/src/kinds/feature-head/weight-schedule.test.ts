import { expect, test } from 'vitest'
import { WeightSchedule } from './weight-schedule.js'

test('the first time comes after 4096 positions, later ones after twice as many or a quarter of a half-life', () => {
  const schedule = new WeightSchedule(60_000, undefined)
  schedule.add(4095)
  expect(schedule.isDue(0)).toBe(false)
  schedule.add(1)
  expect(schedule.isDue(0)).toBe(true)
  schedule.begin()
  schedule.learned()
  schedule.add(14_999)
  expect(schedule.isDue(0)).toBe(false)
  schedule.add(1)
  expect(schedule.isDue(0)).toBe(true)
  expect(new WeightSchedule(1000, 8191).isDue(0)).toBe(false)
  expect(new WeightSchedule(1000, 8192).isDue(0)).toBe(true)
})

test('what is under way takes a tenth of the time', () => {
  const schedule = new WeightSchedule(1000, 8192)
  schedule.begin()
  schedule.worked(1000, 100)
  expect(schedule.isDue(1899)).toBe(false)
  expect(schedule.isDue(1900)).toBe(true)
})

test('what failed is begun again after a while', () => {
  const schedule = new WeightSchedule(1000, 8192)
  schedule.begin()
  schedule.failed(0)
  expect(schedule.isDue(9999)).toBe(false)
  expect(schedule.isDue(10_000)).toBe(true)
})
