import { expect, test } from 'vitest'
import { reachedBy, reaches } from './time-to.js'
import { madeArm } from './testing.js'

const curve = [0.1, 0.2, 0.4].map((alpha, i) => ({ steps: i, positions: 100 * (i + 1), cpuSeconds: i + 1, alpha }))

test('a goal is reached between two points, in a straight line', () => {
  expect(reaches(curve, 0.3)).toEqual({ positions: expect.closeTo(250, 6), cpuSeconds: expect.closeTo(2.5, 6) })
  expect(reaches(curve, 0.1)).toMatchObject({ positions: 100 })
  expect(reaches(curve, 0.5)).toBeUndefined()
})

test('what the curve does not hold was paid before it; one seed that never comes there speaks for all', () => {
  const arms = [0.32, 0.28].map((mean, seed) => madeArm({ selector: 'random', seed, mean }))
  const treatment = { selector: 'random', unit: 'sample', keep: 0.5, matched: 'steps', arms } as const
  expect(reachedBy({ ...treatment, arms: arms.slice(0, 1) }, 0.16)!.cpuSeconds).toBeCloseTo(3.1, 10)
  expect(reachedBy(treatment, 0.3)).toBeUndefined()
})
