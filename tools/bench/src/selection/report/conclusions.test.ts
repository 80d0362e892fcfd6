/** What docs/selection.md concludes in words, held against the kept results: a sentence that they no longer bear fails here. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { locate } from './figures.js'
import { learnedCells } from './headline.js'
import { judgedCells } from './judged-cell.js'
import { readResults } from './results.js'

const results = fileURLToPath(new URL('../../../../../docs/selection/results', import.meta.url))
const cells = judgedCells(readResults(results))
const over = (place: string) => locate(place, cells).judgement.overRandom!
const all = cells.flatMap(({ judgements }) => judgements)

test('the flattest half is below random in every cell, whole samples as well as single tokens', () => {
  const halves = all.filter(({ treatment: t }) => t.selector === 'flatness' && t.keep === 0.5)
  expect(halves.length).toBeGreaterThan(0)
  for (const { overRandom } of halves) expect(overRandom!.difference).toBeLessThan(0)
})

test('training five times as long does not bring the flattest half closer to random', () => {
  const [early, late] = [over('gradients demo flatness loss=kl'), over('gradients-late demo flatness')]
  expect(late.difference).toBeLessThan(early.difference)
})

test('flat tokens lose far beyond noise in the closed form, on both targets', () => {
  for (const target of ['demo', 'smollm2']) {
    expect(over(`closed-form ${target} flatness unit=token`).corrected).toBeLessThan(0.001)
  }
})

test('most of what flat samples lose on demo is the other domain; within domains a part stays', () => {
  const [free, within] = [over('closed-form demo flatness'), over('closed-form demo stratified-flatness')]
  expect(within.difference).toBeGreaterThan(free.difference / 4)
  expect(within.difference).toBeLessThan(0)
  expect(over('closed-form demo flatness domain=sotu').difference).toBeGreaterThan(0)
  expect(over('closed-form demo flatness domain=typescript').difference).toBeLessThan(free.difference)
})

test('no selector is better than random beyond noise at half; random tokens are no selector', () => {
  const better = all.filter(
    ({ treatment: t, overRandom: o }) =>
      t.keep === 0.5 && t.selector !== 'random' && o !== undefined && o.difference > 0 && o.corrected < 0.05,
  )
  expect(better.map(({ treatment }) => treatment.selector)).toEqual([])
})

test('random tokens are not below random samples', () => {
  for (const target of ['demo', 'smollm2']) {
    expect(over(`closed-form ${target} random unit=token`).difference).toBeGreaterThan(0)
  }
})

test('a random half keeps 97 % of full data’s alpha in the closed form, a tenth nine tenths', () => {
  const share = (place: string) => {
    const { alpha, overFull } = locate(place, cells).judgement
    return alpha / (alpha - overFull!.difference)
  }
  for (const target of ['demo', 'smollm2']) expect(share(`closed-form ${target} random`)).toBeGreaterThan(0.97)
  expect(share('closed-form demo random keep=0.1')).toBeGreaterThan(0.9)
})

test('by batches, flatness is within a hundredth of random on both targets', () => {
  for (const target of ['demo', 'smollm2']) {
    const { difference, corrected } = over(`closed-form ${target} batch-flatness`)
    expect(Math.abs(difference)).toBeLessThan(0.01)
    expect(corrected).toBeGreaterThan(0.05)
  }
})

test('in the closed form what was learned is to leave all alike: random, to the digit', () => {
  for (const target of ['demo', 'smollm2']) expect(over(`closed-form ${target} learned`).difference).toBe(0)
})

test('learned is nowhere below random beyond noise, corrected over all cells', () => {
  const below = learnedCells(cells.map(({ cell }) => cell)).filter((one) => one.difference < 0 && one.corrected < 0.05)
  expect(below).toEqual([])
})

test('weights of 1/flatness do not help on all data, and hurt where there is little', () => {
  const at = (target: string, rest = '') =>
    over(`closed-form ${target} weighted-inverse-flatness unit=token keep=1${rest}`)
  for (const target of ['demo', 'smollm2']) {
    expect(at(target).difference).toBeLessThan(0)
    expect(at(target, ' available=10000').corrected).toBeLessThan(0.001)
    expect(at(target, ' available=10000').difference).toBeLessThan(0)
  }
})
