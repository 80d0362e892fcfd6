import type { PairedResponse } from '@plateau/rollout'
import { expect, it } from 'vitest'
import { figuresOf, madeUpQuestions, recordedQuestion, simulate } from './simulated.js'

it('counts what was thrown out before and after it was live, and how long that took', () => {
  const trial = { leftFrom: undefined, positionsToLive: undefined, reason: '' }
  const figures = figuresOf([
    { ...trial, phase: 'rejected', positionsToLeave: 100 },
    { ...trial, phase: 'rolled-back', positionsToLeave: 900 },
    { ...trial, phase: 'rejected', positionsToLeave: 200 },
    { ...trial, phase: 'confirmed', positionsToLeave: undefined },
  ])
  expect(figures).toEqual({ trials: 4, rejected: 2, rolledBack: 1, positionsToLeave: { median: 200, max: 900 } })
})

it('a version that is much worse never gets live, one that turns so is rolled back', () => {
  const [worse, turning] = madeUpQuestions([-0.4], -0.4)
  expect(simulate(worse!, 10)).toMatchObject({ name: 'made up', difference: -0.4, rejected: 10, rolledBack: 0 })
  expect(simulate(turning!, 10)).toMatchObject({ difference: -0.4, rejected: 0, rolledBack: 10 })
})

it('the same of recorded responses, by what they really are', () => {
  const recorded = (ours: number, theirs: number): PairedResponse[] => [
    Array.from({ length: 64 }, () => [ours, theirs] as const),
  ]
  const copy = simulate(recordedQuestion('copy', recorded(0.5, 0.5)), 10)
  expect(copy).toMatchObject({ name: 'copy', difference: 0, rejected: 0, rolledBack: 0 })
  const turning = recordedQuestion('shifted, turning', recorded(0.5, 0.5), recorded(0.1, 0.5))
  const turned = simulate(turning, 10)
  expect(turned).toMatchObject({ name: 'shifted, turning', rejected: 0, rolledBack: 10 })
  expect(turned.difference).toBeCloseTo(-0.4)
})
