import { expect, it } from 'vitest'
import { ComparisonBudget } from './comparison-budget.js'
import type { ComparisonStage } from './paired-sessions.js'

/** So many responses of 50 tokens, compared wherever that is allowed; how many were. */
function serve(budget: ComparisonBudget, stage: ComparisonStage, responses: number): number {
  let compared = 0
  for (let i = 0; i < responses; i++) {
    const account = budget.account(stage)
    if (account !== undefined) compared++
    for (let round = 0; round < 25; round++) budget.served(2, account)
  }
  return compared
}

it('a trial has its evidence at once, and trials without end 3 % of the tokens', () => {
  const budget = new ComparisonBudget()
  expect(serve(budget, 'trial', 50)).toBe(50)
  serve(budget, 'trial', 1000)
  expect(serve(budget, 'trial', 1000)).toBeCloseTo(30, -1)
})

it.each([
  { stage: 'trial', share: 0.03 },
  { stage: 'watch', share: 0.03 },
  { stage: 'confirmed', share: 0.015 },
] as const)(
  '$stage without end, and a confirmed version watched beside it: $share of the tokens',
  ({ stage, share }) => {
    const budget = new ComparisonBudget()
    serve(budget, stage, 2000)
    serve(budget, 'confirmed', 200)
    let compared = 0
    for (let i = 0; i < 2000; i++) compared += serve(budget, i % 2 === 0 ? stage : 'confirmed', 1)
    expect(compared).toBeCloseTo(2000 * share, -1)
  },
)

it('a new version is watched while that leaves enough for a trial', () => {
  const budget = new ComparisonBudget()
  expect(serve(budget, 'watch', 1000)).toBeGreaterThan(50)
  expect(serve(budget, 'watch', 1000)).toBeCloseTo(30, -1)
  expect(serve(budget, 'trial', 30)).toBe(30)
})

it('a confirmed version is watched in no hurry, and though trials have spent all', () => {
  const budget = new ComparisonBudget()
  serve(budget, 'trial', 1000)
  expect(serve(budget, 'confirmed', 1000)).toBeGreaterThan(14)
  for (let i = 0; i < 10_000; i++) budget.served(50)
  expect(serve(budget, 'confirmed', 1000)).toBeLessThan(30)
})

it('what is not spent is saved, but not without end', () => {
  const budget = new ComparisonBudget()
  serve(budget, 'trial', 1000)
  for (let i = 0; i < 10_000; i++) budget.served(50)
  expect(serve(budget, 'trial', 1000)).toBeLessThan(130)
})
