import { normal, seededRandom } from '@plateau/speculation'
import { expect, test } from 'vitest'
import { KeepRuleBandit, type KeepRuleBanditOptions } from './keep-rule-bandit.js'

const options: KeepRuleBanditOptions = {
  arms: ['random', 'flatness', 'least-flat'],
  baseline: 'random',
  halfLifeTurns: 40,
  trialShare: 0.3,
}
const NOISE = 1

type World = (arm: string) => number

/** What each turn was trained by. Rewards are the world's, with noise of one standard error. */
function play(bandit: KeepRuleBandit, turns: number, world: World, random: () => number): string[] {
  return Array.from({ length: turns }, () => {
    const arm = bandit.choose(random)
    bandit.reward(arm, { gain: world(arm) + NOISE * normal(random), standardError: NOISE })
    return arm
  })
}

const share = (turns: readonly string[], arm: string): number =>
  turns.filter((one) => one === arm).length / turns.length
const only =
  (better: string, gain = 1): World =>
  (arm) =>
    arm === better ? gain : 0
const seeds = Array.from({ length: 20 }, (_, seed) => seed + 1)

test('the better rule is found, published and trained by most of the time', () => {
  for (const seed of seeds) {
    const bandit = new KeepRuleBandit(options)
    const random = seededRandom(seed)
    play(bandit, 100, only('flatness', 1.5), random)
    expect(share(play(bandit, 200, only('flatness', 1.5), random), 'flatness')).toBeGreaterThan(0.5)
    expect(bandit.best()).toBe('flatness')
  }
})

test('a rule that becomes the worse one is left, and what is better then is found', () => {
  for (const seed of seeds) {
    const bandit = new KeepRuleBandit(options)
    const random = seededRandom(seed)
    play(bandit, 200, only('flatness', 1.5), random)
    play(bandit, 200, only('least-flat', 1.5), random)
    expect(bandit.best()).toBe('least-flat')
  }
})

test('where all are the same, random stays published nearly always', () => {
  const published = seeds.flatMap((seed) => {
    const bandit = new KeepRuleBandit(options)
    const random = seededRandom(seed)
    return Array.from({ length: 300 }, () => {
      play(bandit, 1, () => 0.3, random)
      return bandit.best()
    })
  })
  expect(share(published, 'random')).toBeGreaterThan(0.85)
})

test('trials take their share and no more: a harmful rule is tried rarely, and still tried', () => {
  const turns = play(new KeepRuleBandit(options), 1000, (arm) => (arm === 'random' ? 5 : -5), seededRandom(3))
  expect(share(turns, 'random')).toBeGreaterThan(0.65)
  expect(share(turns, 'flatness')).toBeGreaterThan(0.05)
  expect(share(turns, 'least-flat')).toBeGreaterThan(0.05)
})

test('random goes on being measured when another rule stands', () => {
  const bandit = new KeepRuleBandit(options)
  play(bandit, 200, only('flatness', 5), seededRandom(3))
  expect(share(play(bandit, 1000, only('flatness', 5), seededRandom(4)), 'random')).toBeGreaterThan(0.05)
})

test('of the rules on trial, those that were never measured go first', () => {
  const bandit = new KeepRuleBandit({ ...options, trialShare: 1 })
  expect(play(bandit, 2, () => 0, seededRandom(1))).toEqual(['flatness', 'least-flat'])
})

test('of arms that have nothing to train on none is chosen', () => {
  const bandit = new KeepRuleBandit(options)
  const random = seededRandom(2)
  play(bandit, 50, only('flatness', 5), random)
  const rest = ['random', 'least-flat']
  expect(Array.from({ length: 100 }, () => bandit.choose(random, rest)).every((arm) => rest.includes(arm))).toBe(true)
})

test('a bandit that was saved makes the identical choices', () => {
  const one = new KeepRuleBandit(options)
  play(one, 50, only('least-flat'), seededRandom(5))
  const other = new KeepRuleBandit(options, JSON.parse(JSON.stringify(one.state)))
  expect(other.best()).toBe(one.best())
  expect(play(other, 50, only('flatness'), seededRandom(6))).toEqual(play(one, 50, only('flatness'), seededRandom(6)))
  expect(other.state).toEqual(one.state)
})

test('a saved state of other rules lends what it knows of those that are still there', () => {
  const before = new KeepRuleBandit(options)
  play(before, 100, only('flatness', 2), seededRandom(1))
  const after = new KeepRuleBandit({ ...options, arms: ['random', 'least-flat'] }, before.state)
  expect(after.best()).toBe('random')
  expect(after.value('random')).toEqual(before.value('random'))
})

test('an arm that is not there, and a baseline that is none, are refused', () => {
  const bandit = new KeepRuleBandit(options)
  expect(() => bandit.reward('entropy', { gain: 0, standardError: 1 })).toThrow(/no arm is called entropy/)
  expect(() => new KeepRuleBandit({ ...options, baseline: 'none' })).toThrow(/none of the arms/)
  expect(() => new KeepRuleBandit({ ...options, trialShare: 1.4 })).toThrow(/no 1.4/)
})
