import { expect, it } from 'vitest'
import { ComparisonBudget } from './comparison-budget.js'
import type { ComparisonStage } from './paired-sessions.js'

/** So many responses of 50 tokens, compared wherever that is allowed; how many were. */
function serve(budget: ComparisonBudget, stage: ComparisonStage, responses: number): number {
  let compared = 0
  for (let i = 0; i < responses; i++) {
    const isForComparison = budget.allows(stage)
    if (isForComparison) compared++
    budget.served(50, isForComparison)
  }
  return compared
}

it('a trial has its evidence at once, and trials without end 3 % of the tokens', () => {
  const budget = new ComparisonBudget()
  expect(serve(budget, 'trial', 50)).toBe(50)
  serve(budget, 'trial', 1000)
  expect(serve(budget, 'trial', 1000)).toBeCloseTo(30, -1)
})

it('a watch takes its share, and leaves enough for a trial', () => {
  const budget = new ComparisonBudget()
  serve(budget, 'watch', 1000)
  expect(serve(budget, 'watch', 1000)).toBeCloseTo(30, -1)
  expect(serve(budget, 'trial', 30)).toBe(30)
})

it('of a confirmed version no more than 3 % is ever compared, however long there was no need to', () => {
  const budget = new ComparisonBudget()
  expect(serve(budget, 'confirmed', 1000)).toBeLessThan(40)
  expect(serve(budget, 'watch', 30)).toBe(30)
})

it('what is not spent is saved, but not without end', () => {
  const budget = new ComparisonBudget()
  serve(budget, 'trial', 1000)
  for (let i = 0; i < 10_000; i++) budget.served(50, false)
  expect(serve(budget, 'trial', 1000)).toBeLessThan(130)
})
