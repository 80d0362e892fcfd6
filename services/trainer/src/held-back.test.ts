import { expect, test } from 'vitest'
import { HeldBack } from './held-back.js'
import { acceptedWindow, Teacher } from './testing.js'
import type { AcceptedRecord } from './training-record.js'

const POSITIONS = 24
const options = { evaluationPositions: 1000, evaluationMaxAgeMs: 1e15, testFirstPositions: 3 * POSITIONS }

const teacher = new Teacher()
const window = (offset: number): AcceptedRecord => acceptedWindow(teacher, offset)

const windows = Array.from({ length: 8 }, (_, offset) => window(offset))
const offsetsOf = (admitted: readonly AcceptedRecord[]): number[] => admitted.map(({ place }) => place.offset)

test('the newest windows wait, the older ones are trained on, in their order and once', () => {
  const heldBack = new HeldBack(options)
  for (const one of windows.slice(0, 5)) heldBack.push('training', one, 0)
  expect(offsetsOf(heldBack.admit(1e6, 0))).toEqual([0, 1])
  expect(heldBack.unseen(0)).toEqual(windows.slice(2, 5).map(({ rows }) => rows))
  expect(heldBack.admit(1e6, 0)).toEqual([])
  heldBack.push('training', windows[5]!, 0)
  expect(offsetsOf(heldBack.admit(1e6, 0))).toEqual([2])
})

test('at the start at most a quarter of all positions waits', () => {
  const heldBack = new HeldBack(options)
  for (const one of windows) heldBack.push('training', one, 0)
  expect(offsetsOf(heldBack.admit(0, 0))).toEqual([0, 1, 2, 3, 4, 5])
})

test('when nothing newer comes, windows are trained on after ten seconds', () => {
  const heldBack = new HeldBack(options)
  heldBack.push('training', windows[0]!, 0)
  heldBack.push('training', windows[1]!, 1)
  expect(heldBack.admit(1e6, 9999)).toEqual([])
  expect(offsetsOf(heldBack.admit(1e6, 10_000))).toEqual([0])
})

test('held-out and calibration windows are never admitted', () => {
  const heldBack = new HeldBack({ ...options, testFirstPositions: 0 })
  heldBack.push('held-out', windows[0]!, 0)
  heldBack.push('calibration', windows[1]!, 0)
  heldBack.push('training', windows[2]!, 0)
  expect(offsetsOf(heldBack.admit(0, 1e9))).toEqual([2])
  expect(heldBack.unseen(0)).toEqual([windows[0]!.rows])
  expect(heldBack.calibration(0)).toEqual([windows[1]!.rows])
  expect(heldBack.places).toEqual({ heldOut: [windows[0]!.place], calibration: [windows[1]!.place], waiting: [] })
})
