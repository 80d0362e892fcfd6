import { expect, it } from 'vitest'
import { Buckets } from './buckets.js'
import { emptyCounts } from './counts.js'

const proposed = (draftTokens: number) => ({ ...emptyCounts(), draftTokens })

it('counts of one bucket and name add up; steps are sums of buckets', () => {
  const buckets = new Buckets(10, 100)
  for (const atMs of [100, 105, 110, 130]) buckets.add(atMs, 'a', proposed(1))
  buckets.add(111, 'b', proposed(10))
  const steps = (stepMs: number) =>
    buckets.series(() => true, 0, 200, stepMs).map(({ fromMs, counts }) => [fromMs, counts.draftTokens])
  expect(steps(10)).toEqual([
    [100, 2],
    [110, 11],
    [130, 1],
  ])
  expect(steps(20)).toEqual([
    [100, 13],
    [120, 1],
  ])
  expect(buckets.totals(0, 200).map(([name, { draftTokens }]) => [name, draftTokens])).toEqual([
    ['b', 10],
    ['a', 4],
  ])
})

it('the newest buckets stay, also when they come out of order', () => {
  const buckets = new Buckets(10, 3)
  for (const atMs of [50, 20, 30, 40, 10]) buckets.add(atMs, 'a', proposed(1))
  expect(buckets.series(() => true, 0, 100, 10).map(({ fromMs }) => fromMs)).toEqual([30, 40, 50])
})

it('names above the bound count together', () => {
  const buckets = new Buckets(10, 3)
  for (let at = 0; at < 100; at++) buckets.add(5, `name-${at}`, proposed(1))
  expect(new Map(buckets.totals(0, 10)).get('other')!.draftTokens).toBe(36)
})
