import { expect, test } from 'vitest'
import { weight } from './weights.js'

const parameters = new Map([['w', { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }]])

test('a parameter of the expected shape is its data, not a copy', () => {
  expect(weight(parameters, 'w', [2, 3])).toBe(parameters.get('w')!.data)
})

test('a missing parameter, another shape and too few values are named', () => {
  expect(() => weight(parameters, 'v', [2, 3])).toThrow('no parameter "v"')
  expect(() => weight(parameters, 'w', [3, 2])).toThrow('"w" has shape [2, 3] and 6 values, expected shape [3, 2]')
  const short = new Map([['w', { shape: [2, 3], data: new Float32Array(5) }]])
  expect(() => weight(short, 'w', [2, 3])).toThrow('has shape [2, 3] and 5 values')
})
