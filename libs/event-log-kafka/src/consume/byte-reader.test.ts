import { expect, test } from 'vitest'
import { ByteReader } from './byte-reader.js'

test('whole numbers come out exactly, as large as offsets and times get', () => {
  for (const value of [0n, -1n, 1n, 255n, -4_294_967_297n, 1_795_704_438_905n, 2n ** 53n - 1n]) {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(value)
    expect(new ByteReader(bytes).int64()).toBe(Number(value))
    expect(new ByteReader(zigZag(value)).varint()).toBe(Number(value))
  }
})

test('reading beyond the end is refused, never made up', () => {
  expect(() => new ByteReader(Buffer.from([0, 0, 0])).int32()).toThrow(RangeError)
  expect(() => new ByteReader(Buffer.from([0x80])).varint()).toThrow(RangeError)
  expect(() => new ByteReader(Buffer.alloc(11, 0xff)).varint()).toThrow(RangeError)
  expect(() => new ByteReader(Buffer.from([20, 1, 2])).varBytes()).toThrow(RangeError)
  expect(() => new ByteReader(Buffer.from([20, 65, 66])).varString()).toThrow(RangeError)
})

test('null is told from empty', () => {
  expect(new ByteReader(Buffer.from([1])).varBytes()).toBeNull()
  expect(new ByteReader(Buffer.from([0])).varBytes()).toEqual(Buffer.alloc(0))
})

function zigZag(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  const bytes: number[] = []
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return Buffer.from([...bytes, Number(rest)])
}
