import { expect, it } from 'vitest'
import { TrafficSlices } from './traffic-slices.js'

const one = (value: number, other: number) => ({ positions: 1, value, otherPositions: 1, other })

it('means by tenant and by domain, the largest first, without what has no label', () => {
  const slices = new TrafficSlices()
  slices.add({ tenant: 'a', domain: '' }, one(0.5, 0.25))
  slices.add({ tenant: 'a', domain: 'code' }, one(1, 0.75))
  slices.add({ tenant: '', domain: 'code' }, one(0, 0))
  slices.add({ tenant: '', domain: 'code' }, { positions: 0, value: 0, otherPositions: 2, other: 1 })
  expect(slices.largest()).toEqual([
    { label: 'tenant', name: 'a', positions: 2, value: 0.75, otherValue: 0.5 },
    { label: 'domain', name: 'code', positions: 2, value: 0.5, otherValue: 1.75 / 4 },
  ])
})

it('tells 64 names apart and takes the rest as one; shows eight', () => {
  const slices = new TrafficSlices()
  for (let i = 0; i < 1_000; i++) slices.add({ tenant: `t${i}`, domain: '' }, one(0.5, 0.5))
  const [largest, ...rest] = slices.largest()
  expect(largest).toMatchObject({ name: 'other', positions: 936 })
  expect(rest.map(({ positions }) => positions)).toEqual([1, 1, 1, 1, 1, 1, 1])
})
