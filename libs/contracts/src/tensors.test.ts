import { expect, test } from 'vitest'
import { FloatFormat } from './gen/plateau/stream/v1/window.js'
import { floatToHalf, halfToFloat, packFloats, packTopK, unpackFloats, unpackTopK } from './tensors.js'

test('every binary16 value survives a round trip through binary32', () => {
  const changed = Array.from({ length: 65_536 }, (_, half) => half).filter((half) => {
    const value = halfToFloat(half)
    return Number.isNaN(value) ? !Number.isNaN(halfToFloat(floatToHalf(value))) : floatToHalf(value) !== half
  })
  expect(changed).toEqual([])
})

test('rounding is to the nearest half, ties to even', () => {
  for (let half = 0; half < 0x7bff; half++) {
    const low = halfToFloat(half)
    const high = halfToFloat(half + 1)
    const middle = (low + high) / 2
    expect(floatToHalf(middle)).toBe(half % 2 === 0 ? half : half + 1)
    expect(floatToHalf(low + (high - low) * 0.49)).toBe(half)
    expect(floatToHalf(low + (high - low) * 0.51)).toBe(half + 1)
  }
})

test('what is too large becomes infinity, what is too small becomes zero', () => {
  expect(floatToHalf(65_504)).toBe(0x7bff)
  expect(floatToHalf(65_519)).toBe(0x7bff)
  expect(floatToHalf(65_520)).toBe(0x7c00)
  expect(floatToHalf(-1e9)).toBe(0xfc00)
  expect(floatToHalf(2 ** -26)).toBe(0)
  expect(floatToHalf(-0)).toBe(0x8000)
})

test('packed floats are read from any byte offset', () => {
  const packed = packFloats([1, -2.5, 0.125], FloatFormat.FLOAT_FORMAT_FP32)
  const shifted = Buffer.concat([Buffer.from([7]), packed]).subarray(1)
  expect([...unpackFloats(shifted, FloatFormat.FLOAT_FORMAT_FP32, 3)]).toEqual([1, -2.5, 0.125])
})

test('a length that does not fit the shape is refused', () => {
  const packed = packFloats([1, 2], FloatFormat.FLOAT_FORMAT_FP16)
  expect(() => unpackFloats(packed, FloatFormat.FLOAT_FORMAT_FP16, 3)).toThrow(/expected 3 numbers/)
  expect(() => unpackFloats(packed, FloatFormat.FLOAT_FORMAT_UNSPECIFIED, 2)).toThrow(/unknown float format/)
  const top = packTopK([1, 2, 3, 4], [0.5, 0.25, 0.75, 0.125], 2, FloatFormat.FLOAT_FORMAT_FP16)
  expect([...unpackTopK(top)]).toEqual([0.5, 0.25, 0.75, 0.125])
  expect(() => unpackTopK({ ...top, positions: 3 })).toThrow(/lists 4 ids for 3 x 2/)
})
