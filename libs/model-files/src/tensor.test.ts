import { describe, expect, it } from 'vitest'
import { doubleTensor, floatTensor, integerTensor, type Tensor, toDoubles, toFloats, toIntegers } from './tensor.js'

/** Every 16-bit pattern, as a tensor of that type. */
function allBits(dtype: 'F16' | 'BF16'): Tensor {
  const bits = Uint16Array.from({ length: 65_536 }, (_, i) => i)
  return { dtype, shape: [65_536], bytes: new Uint8Array(bits.buffer) }
}

const bitsOf = (tensor: Tensor): Uint16Array => new Uint16Array(new Uint8Array(tensor.bytes).buffer)

describe.each(['F16', 'BF16'] as const)('%s', (dtype) => {
  it('reads and writes every bit pattern unchanged, except the kinds of NaN', () => {
    const all = allBits(dtype)
    const floats = toFloats(all)
    const again = bitsOf(floatTensor([65_536], floats, dtype))
    const changed = Array.from(bitsOf(all)).filter((bits, i) => again[i] !== bits && !Number.isNaN(floats[i]))
    expect(changed).toEqual([])
    expect(toFloats(floatTensor([65_536], floats, dtype))).toEqual(floats)
  })

  it('rounds to the nearest value, ties to even', () => {
    const values = toFloats(allBits(dtype)).filter((value) => Number.isFinite(value) && value > 0)
    for (let i = 100; i + 1 < values.length; i += 97) {
      const [low, high] = [values[i]!, values[i + 1]!]
      const between = Float32Array.of(low + (high - low) * 0.25, (low + high) / 2, low + (high - low) * 0.75)
      // values[0] is the pattern 1: at odd i, the lower one ends in a zero bit.
      const even = i % 2 === 1 ? low : high
      expect([...toFloats(floatTensor([3], between, dtype))]).toEqual([low, even, high])
    }
  })

  it('keeps NaN, infinities and the sign of zero', () => {
    const hard = Float32Array.of(Number.NaN, Infinity, -Infinity, -0, 1e39)
    expect([...toFloats(floatTensor([5], hard, dtype))]).toEqual([Number.NaN, Infinity, -Infinity, -0, Infinity])
    const oddNaN = new Float32Array(Uint32Array.of(0x7fffffff).buffer)
    expect(toFloats(floatTensor([1], oddNaN, dtype))[0]).toBeNaN()
  })
})

describe('tensors', () => {
  it('read at an odd offset, as inside a network buffer', () => {
    const floats = Float32Array.of(1.5, -2, 1e-30)
    const { bytes } = floatTensor([3], floats)
    const shifted = new Uint8Array(bytes.length + 1)
    shifted.set(bytes, 1)
    expect(toFloats({ dtype: 'F32', shape: [3], bytes: shifted.subarray(1) })).toEqual(floats)
  })

  it('carry doubles and 64-bit integers exactly', () => {
    const doubles = Float64Array.of(Math.PI, -0, Number.MIN_VALUE)
    const integers = BigInt64Array.of(-(2n ** 63n), 2n ** 53n + 1n)
    expect(toDoubles(doubleTensor([3], doubles))).toEqual(doubles)
    expect(toIntegers(integerTensor([2], integers))).toEqual(integers)
  })

  it('refuse data that does not fill the shape, and another type than asked for', () => {
    expect(() => floatTensor([2, 3], new Float32Array(5))).toThrow('5 numbers do not fill the shape [2, 3]')
    expect(() => toFloats(doubleTensor([1], Float64Array.of(1)))).toThrow(/F64/)
    expect(() => toDoubles(floatTensor([1], Float32Array.of(1)))).toThrow(/found F32/)
  })
})
