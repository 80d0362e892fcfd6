import { Arm } from '@plateau/contracts'
import { expect, test } from 'vitest'
import { acceptedWindow, Teacher, type RecordOptions } from '../testing.js'
import { Replay } from './replay.js'

const teacher = new Teacher()
const options = { replayPositions: 100_000, piecePositions: 12 }
const flat = 'flatness(keep=0.5,stratified)'
const peaked = 'least-flat(keep=0.5,stratified)'

function replayOf(records: readonly RecordOptions[]): Replay {
  const replay = new Replay(options)
  records.forEach((record, offset) => replay.push(acceptedWindow(teacher, offset, { policy: flat, ...record })))
  return replay
}

/** How many pieces an arm can draw, each once. */
const drawn = (replay: Replay, arm?: string) => replay.draw(1000, 0, arm).pieces

test('an arm draws what its rule would have kept, whatever was decided; without one it is what was decided to be kept', () => {
  const windows = [
    { keep: true, keptBy: [flat] },
    { keep: false, keptBy: [peaked] },
    { keep: true, keptBy: [] },
    { keep: false, keptBy: [] },
  ]
  expect(drawn(replayOf(windows), flat)).toHaveLength(2 * 2)
  expect(drawn(replayOf(windows), peaked)).toHaveLength(1 * 2)
  expect(drawn(replayOf(windows))).toHaveLength(2 * 2)
  expect(replayOf(windows).places.map(({ offset }) => offset)).toEqual([0, 1, 2])
})

test('what the control arm kept, and what a trial of random would have, is chance; what it dropped is not', () => {
  const windows = [
    { arm: Arm.ARM_CONTROL, keep: true },
    { arm: Arm.ARM_CONTROL, keep: false },
    { arm: Arm.ARM_SELECTED, keep: true, keptBy: ['random(keep=0.5,stratified)'] },
    { arm: Arm.ARM_SELECTED, keep: true, policy: 'random(keep=0.25)' },
  ]
  expect(drawn(replayOf(windows), 'random')).toHaveLength(3 * 2)
  expect(drawn(replayOf(windows), flat)).toHaveLength(1 * 2)
})

test('the evaluation arm is nobody to learn from, whatever its record says', () => {
  expect(replayOf([{ arm: Arm.ARM_EVALUATION, keep: true, keptBy: [flat] }]).places).toEqual([])
})

test('gradient weights count in steps of the rule that decided; a piece of nothing but context is not drawn there', () => {
  const gradientWeights = Array.from({ length: 24 }, (_, i) => (i < 12 ? 0 : i % 2))
  const replay = replayOf([{ keep: true, keptBy: [peaked], gradientWeights }])
  const [piece, ...rest] = drawn(replay, flat)
  expect(rest).toEqual([])
  expect(piece).toMatchObject({ from: 12, to: 24 })
  expect([...piece!.weights!]).toEqual(gradientWeights)
  expect(drawn(replay, peaked).map(({ weights }) => weights)).toEqual([undefined, undefined])
})

test('it says how often pieces can still be used, of arms that can use any', () => {
  const replay = replayOf([{ keep: true }, { keep: true, keptBy: [peaked] }])
  const arms = [flat, peaked, 'random']
  const before = replay.usesLeft(arms)
  expect([...before.keys()]).toEqual([flat, peaked])
  expect(before.get(flat)).toBe(2 * before.get(peaked)!)
  while (replay.draw(1000, 0, peaked).pieces.length > 0);
  expect([...replay.usesLeft(arms)]).toEqual([[flat, before.get(flat)! - before.get(peaked)!]])
})
