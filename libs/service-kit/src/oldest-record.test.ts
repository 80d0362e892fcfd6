import { expect, it } from 'vitest'
import { OldestRecord } from './oldest-record.js'

/** Looks every five seconds at [committed, next]. */
function ages(looks: readonly (readonly [committed: number, next: number])[]): number[] {
  const oldest = new OldestRecord()
  return looks.map(([committed, next], i) => oldest.look({ records: next - committed, next }, i * 5000) / 1000)
}

it('a group that keeps up has nothing old', () => {
  expect(
    ages([
      [10, 10],
      [30, 30],
      [30, 30],
    ]),
  ).toEqual([0, 0, 0])
})

it('a group that stands still falls behind by the clock, however many records come', () => {
  expect(
    ages([
      [10, 10],
      [10, 11],
      [10, 500],
      [10, 500],
    ]),
  ).toEqual([0, 0, 5, 10])
})

it('a group that goes on is as late as what it reads now', () => {
  expect(
    ages([
      [0, 10],
      [0, 20],
      [0, 30],
      [10, 40],
      [25, 50],
      [50, 50],
    ]),
  ).toEqual([0, 5, 10, 10, 10, 0])
})

it('what had waited before the first look counts from there', () => {
  expect(
    ages([
      [0, 1000],
      [0, 1000],
      [999, 1000],
    ]),
  ).toEqual([0, 5, 10])
})

it('a log that goes on for ever is remembered in bounds', () => {
  const oldest = new OldestRecord()
  let age = 0
  for (let i = 0; i < 10_000; i++) age = oldest.look({ records: i, next: i }, i * 1000)
  expect(age).toBe(9_998_000)
})
