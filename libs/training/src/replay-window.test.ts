import { expect, test } from 'vitest'
import { fitLogitScale } from './fit-logit-scale.js'
import { ReplayWindow } from './replay-window.js'

const options = { maxPositions: 100, maxUses: 3, replayShare: 0.25 }
const half = () => 0.5

test('an item is fresh exactly once, and used no more often than allowed', () => {
  const window = new ReplayWindow<number>(options)
  for (let i = 0; i < 10; i++) window.push(i, 10)
  const fresh: number[] = []
  const uses = new Map<number, number>()
  for (let step = 0; step < 40; step++) {
    for (const { item, fresh: isFresh } of window.draw(4, half)) {
      if (isFresh) fresh.push(item)
      uses.set(item, (uses.get(item) ?? 0) + 1)
    }
  }
  expect(fresh.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect([...uses.values()]).toEqual(Array.from({ length: 10 }, () => 3))
  expect(window.draw(4, half)).toEqual([])
})

test('a step mixes old items in, and has no item twice', () => {
  const window = new ReplayWindow<number>({ ...options, maxUses: 100 })
  for (let i = 0; i < 10; i++) window.push(i, 10)
  window.draw(4, half)
  const step = window.draw(4, half)
  expect(step.filter(({ fresh }) => !fresh)).toHaveLength(1)
  expect(new Set(step.map(({ item }) => item)).size).toBe(4)
  // Nothing fresh is left: old items fill the step.
  window.draw(8, half)
  expect(window.draw(4, half).every(({ fresh }) => !fresh)).toBe(true)
})

test('a step takes only what serves it, and is empty when that was used often enough', () => {
  const window = new ReplayWindow<number>(options)
  for (let i = 0; i < 10; i++) window.push(i, 10)
  const isEven = (i: number): boolean => i % 2 === 0
  const drawn = Array.from({ length: 6 }, () => window.draw(4, half, isEven).map(({ item }) => item))
  expect(drawn.flat().every(isEven)).toBe(true)
  expect(drawn.flat()).toHaveLength(5 * options.maxUses)
  expect(window.draw(4, half, isEven)).toEqual([])
  expect(window.draw(20, half).map(({ item }) => item)).toEqual([1, 3, 5, 7, 9])
})

test('the oldest items leave when there are too many positions, the newest one stays whatever its size', () => {
  const window = new ReplayWindow<string>(options)
  window.push('old', 60)
  window.push('newer', 50)
  expect(window.items.map(({ item }) => item)).toEqual(['newer'])
  window.push('huge', 500)
  expect(window.items.map(({ item }) => item)).toEqual(['huge'])
  expect(window.positions).toBe(500)
})

test('the logit scale is where alpha peaks', async () => {
  let evaluations = 0
  const scale = await fitLogitScale((c) => {
    evaluations++
    return Promise.resolve(-((Math.log(c) - Math.log(1.7)) ** 2))
  })
  expect(scale).toBeCloseTo(1.7, 1)
  expect(evaluations).toBe(9)
})
