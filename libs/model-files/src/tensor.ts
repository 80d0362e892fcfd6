import { floatToHalf, halfToFloat } from '@plateau/contracts'

/** The element types that can be read as numbers. Files may hold others; those tensors can be skipped, not read. */
export type Dtype = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'BOOL'

/** The 16- and 32-bit types that weights are stored in. */
export type FloatDtype = 'F32' | 'F16' | 'BF16'

/** A tensor as it lies in a file: row-major, little-endian. */
export interface Tensor {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

export const bytesPerElement: Readonly<Record<Dtype, number>> = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, BOOL: 1 }

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1)
}

/** Rounds to the nearest value of `dtype`, ties to even. F16 overflows to infinity above 65,504. */
export function floatTensor(shape: readonly number[], data: Float32Array, dtype: FloatDtype = 'F32'): Tensor {
  checkLength(shape, data.length)
  if (dtype === 'F32') return { dtype, shape, bytes: bytesOf(data) }
  const bits = dtype === 'F16' ? toHalfBits(data) : toBrainBits(data)
  return { dtype, shape, bytes: bytesOf(bits) }
}

export function doubleTensor(shape: readonly number[], data: Float64Array): Tensor {
  checkLength(shape, data.length)
  return { dtype: 'F64', shape, bytes: bytesOf(data) }
}

export function integerTensor(shape: readonly number[], data: BigInt64Array): Tensor {
  checkLength(shape, data.length)
  return { dtype: 'I64', shape, bytes: bytesOf(data) }
}

/** 0 and 1. */
export function booleanTensor(shape: readonly number[], data: Uint8Array): Tensor {
  checkLength(shape, data.length)
  return { dtype: 'BOOL', shape, bytes: data }
}

/** The numbers of an F32, F16 or BF16 tensor; exact. Shares the tensor's memory where it can. */
export function toFloats({ dtype, bytes }: Tensor): Float32Array {
  switch (dtype) {
    case 'F32':
      return view(bytes, Float32Array)
    case 'F16':
      return fromHalfBits(view(bytes, Uint16Array))
    case 'BF16':
      return fromBrainBits(view(bytes, Uint16Array))
    case 'F64':
    case 'I64':
    case 'BOOL':
      throw new TypeError(`a ${dtype} tensor does not fit 32-bit floats`)
  }
}

/** The numbers of an F64 tensor. Shares the tensor's memory where it can. */
export function toDoubles({ dtype, bytes }: Tensor): Float64Array {
  if (dtype !== 'F64') throw new TypeError(`expected an F64 tensor, found ${dtype}`)
  return view(bytes, Float64Array)
}

/** The numbers of an I64 tensor. Shares the tensor's memory where it can. */
export function toIntegers({ dtype, bytes }: Tensor): BigInt64Array {
  if (dtype !== 'I64') throw new TypeError(`expected an I64 tensor, found ${dtype}`)
  return view(bytes, BigInt64Array)
}

interface ArrayType<T> {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T
}

/** Typed arrays take the machine's byte order; Node runs on little-endian machines only, like the format. */
function view<T>(bytes: Uint8Array, type: ArrayType<T>): T {
  const aligned = bytes.byteOffset % type.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes)
  return new type(aligned.buffer, aligned.byteOffset, aligned.byteLength / type.BYTES_PER_ELEMENT)
}

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

function checkLength(shape: readonly number[], length: number): void {
  if (elementCount(shape) !== length) {
    throw new RangeError(`${length} numbers do not fill the shape [${shape.join(', ')}]`)
  }
}

/** Built on first use: a look-up is several times faster than taking each number apart. */
let halfValues: Float32Array | undefined

function fromHalfBits(bits: Uint16Array): Float32Array {
  const values = (halfValues ??= Float32Array.from({ length: 65_536 }, (_, half) => halfToFloat(half)))
  const out = new Float32Array(bits.length)
  for (let i = 0; i < bits.length; i++) out[i] = values[bits[i]!]!
  return out
}

function toHalfBits(data: Float32Array): Uint16Array {
  const out = new Uint16Array(data.length)
  for (let i = 0; i < data.length; i++) out[i] = floatToHalf(data[i]!)
  return out
}

/** bfloat16 is the upper half of a 32-bit float. */
function fromBrainBits(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) out[i] = bits[i]! << 16
  return new Float32Array(out.buffer)
}

function toBrainBits(data: Float32Array): Uint16Array {
  const bits = new Uint32Array(data.slice().buffer)
  const out = new Uint16Array(bits.length)
  for (let i = 0; i < bits.length; i++) {
    const x = bits[i]!
    // A NaN stays one: rounding could carry its fraction away into infinity.
    out[i] = (x & 0x7fffffff) > 0x7f800000 ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16
  }
  return out
}
