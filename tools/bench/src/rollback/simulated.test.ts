import { expect, it } from 'vitest'
import { figuresOf, simulate } from './simulated.js'

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
  expect(simulate({ difference: -0.4, turns: false }, 10)).toMatchObject({ rejected: 10, rolledBack: 0 })
  expect(simulate({ difference: -0.4, turns: true }, 10)).toMatchObject({ rejected: 0, rolledBack: 10 })
})
