import { expect, test } from 'vitest'
import { BesideChance, type MeasuredTurn } from './beside-chance.js'
import { RANDOM } from './rule-arms.js'

const turn = (at: number, arm: string, gain: number): MeasuredTurn => ({ at, arm, gain, standardError: 0.3 })

/** Everything that is known after turns of these arms, each gaining what its place says. */
function roundsOf(arms: readonly string[], gainAt: (at: number) => number) {
  const beside = new BesideChance()
  return arms.flatMap((arm, at) => beside.add(turn(at, arm, gainAt(at))))
}

test('where gains fall in a line, turns of equal worth come out at 0 whenever they were', () => {
  const rounds = roundsOf([RANDOM, 'a', 'b', RANDOM, 'b', RANDOM, 'a', 'a', RANDOM, RANDOM], (at) => 10 - 0.5 * at)
  expect(rounds.map(({ arm }) => arm)).toEqual(['a', 'b', 'b', 'a'])
  for (const { gain } of rounds) expect(gain).toBeCloseTo(0, 10)
})

test('where they fall first fast and then slowly, none looks better than it is', () => {
  const rounds = roundsOf([RANDOM, 'a', 'b', 'c', RANDOM, 'c', 'b', 'a', RANDOM], (at) => 1 / (at + 1))
  expect(rounds).toHaveLength(6)
  for (const { gain } of rounds) expect(gain).toBeLessThan(0)
})

test('what a turn gains more than chance is what is left, with the errors of all three', () => {
  const beside = new BesideChance()
  beside.add(turn(0, RANDOM, 4))
  expect(beside.add(turn(1, 'a', 5))).toEqual([])
  expect(beside.waiting('a')).toBe(1)
  const [known] = beside.add(turn(4, RANDOM, 2))
  expect(known).toMatchObject({ arm: 'a', gain: 5 - 3.5 })
  expect(known!.standardError).toBeCloseTo(0.3 * Math.hypot(1, 0.75, 0.25), 10)
  expect(beside.waiting('a')).toBe(0)
})

test('turns of one arm in a round are one measurement: what they are compared with is the same', () => {
  const beside = new BesideChance()
  beside.add(turn(0, RANDOM, 0))
  for (const [at, gain] of [1, 2, 3].entries()) beside.add(turn(at + 1, 'a', gain))
  const rounds = beside.add(turn(4, RANDOM, 0))
  expect(rounds).toHaveLength(1)
  expect(rounds[0]!.gain).toBeCloseTo(2, 10)
  expect(rounds[0]!.standardError).toBeCloseTo(0.3 * Math.sqrt(1 / 3 + 0.25 + 0.25), 10)
})

test('of what came before any turn of chance nothing is told; what waits is bounded', () => {
  const beside = new BesideChance()
  beside.add(turn(0, 'a', 1))
  expect(beside.add(turn(1, RANDOM, 1))).toEqual([])
  for (let at = 2; at < 1000; at++) beside.add(turn(at, 'a', 1))
  expect(beside.waiting('a')).toBeLessThan(100)
})

test('one that was saved goes on as if nothing had happened', () => {
  const first = new BesideChance()
  first.add(turn(0, RANDOM, 3))
  first.add(turn(1, 'a', 2))
  const second = new BesideChance(JSON.parse(JSON.stringify(first.state)))
  const next = [turn(2, 'b', 5), turn(3, RANDOM, 1), turn(4, RANDOM, 2)]
  expect(next.flatMap((one) => second.add(one))).toEqual(next.flatMap((one) => first.add(one)))
})
