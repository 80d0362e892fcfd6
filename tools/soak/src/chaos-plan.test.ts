import { seededRandom } from '@plateau/speculation'
import { expect, test } from 'vitest'
import { nameOf, planChaos } from './chaos-plan.js'

const HOUR_MS = 3_600_000
const plan = (durationMs: number, seed: number, kafka = false) => planChaos(durationMs, seededRandom(seed), { kafka })

test('the same seed brings the same blows at the same times, another one others', () => {
  expect(plan(HOUR_MS, 1)).toEqual(plan(HOUR_MS, 1))
  expect(plan(HOUR_MS, 1)).not.toEqual(plan(HOUR_MS, 2))
})

test('every kind of blow comes before one comes twice, and the end stays calm', () => {
  for (const kafka of [false, true]) {
    const planned = plan(HOUR_MS, 3, kafka)
    const names = planned.map(({ blow }) => nameOf(blow))
    const kinds = new Set(names)
    expect(new Set(names.slice(0, kinds.size))).toEqual(kinds)
    expect([...kinds].some((name) => name.startsWith('broker'))).toBe(kafka)
    expect(planned.at(-1)!.atMs).toBeLessThan(HOUR_MS - 30_000)
  }
})

test('a run that is too short for a blow has none', () => {
  expect(plan(30_000, 1)).toEqual([])
})
