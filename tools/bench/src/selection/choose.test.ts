import { seededRandom } from '@plateau/speculation'
import { describe, expect, test } from 'vitest'
import { choose, keptPositions, type Choice } from './choose.js'
import { positionsOf } from './selection-window.js'
import { windowWith } from './testing.js'

const random = seededRandom(5)
const windows = Array.from({ length: 40 }, (_, i) =>
  windowWith(
    `sample ${i}`,
    Array.from({ length: 5 + (i % 9) }, () => 0.1 + 0.9 * random()),
  ),
)
const all = positionsOf(windows)
const half: Choice = { selector: 'flatness', unit: 'sample', keep: 0.5, seed: 1 }
const ids = (choice: Choice) => choose(windows, choice).map(({ window }) => window.sampleId)

describe('every selector keeps the same number of positions', () => {
  test.each(['flatness', 'least-flat', 'random', 'length', 'batch-flatness'])('%s, of samples', (selector) => {
    for (const keep of [0.7, 0.5, 0.05]) {
      expect(keptPositions(choose(windows, { ...half, selector, keep }))).toBe(Math.round(keep * all))
    }
  })

  test.each(['flatness', 'least-flat', 'random', 'draft-gap'])('%s, of single positions', (selector) => {
    for (const keep of [0.7, 0.5, 0.05]) {
      const chosen = choose(windows, { ...half, selector, keep, unit: 'token' })
      expect(keptPositions(chosen)).toBe(Math.round(keep * all))
    }
  })
})

test('the flattest samples are kept, the last of them as far as the budget goes', () => {
  const three = [
    windowWith('low', [0.1, 0.1]),
    windowWith('high', [0.9, 0.9, 0.9]),
    windowWith('middle', [0.5, 0.4, 0.6]),
  ]
  const chosen = choose(three, { ...half, keep: 5 / 8 })
  expect(chosen.map(({ window }) => [window.sampleId, window.rows.length])).toEqual([
    ['high', 3],
    ['middle', 2],
  ])
  const { rows } = chosen[1]!.window
  expect([rows.tokens.length, rows.features.length, rows.nextFeatures.length, rows.listedIds.length]).toEqual([
    2, 4, 4, 4,
  ])
})

test('of single positions the flattest count 1 and the rest of their window is context', () => {
  const two = [windowWith('a', [0.9, 0.1, 0.8]), windowWith('b', [0.2, 0.3, 0.1])]
  const chosen = choose(two, { ...half, unit: 'token', keep: 2 / 6 })
  expect(chosen.map(({ window, weights }) => [window.sampleId, [...weights!]])).toEqual([['a', [1, 0, 1]]])
})

test('random is another draw with another seed, and the same with the same', () => {
  const draw = (seed: number) => ids({ ...half, selector: 'random', seed })
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
})

test('values in place of a strategy rank positions, ties by lot', () => {
  const first = choose(windows, { ...half, unit: 'token' }, ({ rows }) => new Float32Array(rows.length).fill(1))
  const asRandom = choose(windows, { ...half, selector: 'random', unit: 'token' })
  expect(keptPositions(first)).toBe(keptPositions(asRandom))
  expect(first.map(({ weights }) => [...weights!])).toEqual(asRandom.map(({ weights }) => [...weights!]))
})

test('sampled positions count the inverse of how likely they were: sums over them are unbiased', () => {
  const sums = Array.from({ length: 400 }, (_, seed) => {
    const chosen = choose(windows, { selector: 'sampled-flatness', unit: 'token', keep: 0.5, seed })
    return chosen.reduce(
      (sum, { window, weights }) => sum + weights!.reduce((own, w, i) => own + w * window.statistics.flatness[i]!, 0),
      0,
    )
  })
  const mean = sums.reduce((sum, one) => sum + one, 0) / sums.length
  const deviation = Math.sqrt(sums.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (sums.length - 1))
  const exact = windows.reduce((sum, { statistics }) => sum + statistics.flatness.reduce((own, f) => own + f, 0), 0)
  expect(Math.abs(mean - exact)).toBeLessThan((4 * deviation) / Math.sqrt(sums.length))
})

test('stratified, the share is kept of every domain', () => {
  const flat = Array.from({ length: 10 }, (_, i) => windowWith(`chat ${i}`, [0.9, 0.8, 0.7, 0.6]))
  const peaked = Array.from({ length: 5 }, (_, i) => windowWith(`code ${i}`, [0.2, 0.1, 0.3, 0.2], { domain: 'code' }))
  const mixed = [...flat.slice(0, 5), ...peaked, ...flat.slice(5)]
  const kept = choose(mixed, { ...half, selector: 'stratified-flatness' })
  const of = (domain: string) => keptPositions(kept.filter(({ window }) => window.domain === domain))
  expect([of('chat'), of('code')]).toEqual([20, 10])
  const places = kept.map(({ window }) => mixed.findIndex(({ sampleId }) => sampleId === window.sampleId))
  expect(places).toEqual(places.toSorted((a, b) => a - b))
})
