import { expect, it } from 'vitest'
import { growth } from './memory.js'

it('growth is that of the last tenth over the second one, whatever the first tenth was', () => {
  const values = [900, 900, 10, 12, ...Array.from({ length: 14 }, () => 50), 30, 34]
  expect(growth(values)).toBe(21)
})

it('growth of too little is not known', () => {
  expect(growth([1, 2, 3])).toBeNaN()
})
