import { expect, it } from 'vitest'
import { calibrate } from './calibrate.js'

const falling = async (at: number): Promise<number> => 0.5 - at ** 2

it('finds where a falling function takes a value', async () => {
  const { at, value } = await calibrate(falling, { wanted: 0.4, tolerance: 0.001, most: 2 })
  expect(Math.abs(value - 0.4)).toBeLessThanOrEqual(0.001)
  expect(at).toBeCloseTo(Math.sqrt(0.1), 2)
})

it('goes as far as it may where the function does not fall so low', async () => {
  expect(await calibrate(falling, { wanted: -1, tolerance: 0.01, most: 1 })).toEqual({ at: 1, value: -0.5 })
})

it('gives up after a while on a function that jumps', async () => {
  const jumping = async (at: number): Promise<number> => (at < 0.3 ? 1 : 0)
  const { at } = await calibrate(jumping, { wanted: 0.5, tolerance: 0.1, most: 1 })
  expect(at).toBeCloseTo(0.3, 3)
})
