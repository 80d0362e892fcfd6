import { FloatFormat, type TopK } from './gen/plateau/stream/v1/window.js'

/** Every binary16 number, made on first use: a look-up is ten times faster than the arithmetic. */
let floatOfHalf: Float32Array | undefined

/** Little-endian fp32 or fp16 bytes as numbers. Throws RangeError when the length does not fit `count`. */
export function unpackFloats(bytes: Uint8Array, format: FloatFormat, count: number): Float32Array {
  const width = format === FloatFormat.FLOAT_FORMAT_FP32 ? 4 : format === FloatFormat.FLOAT_FORMAT_FP16 ? 2 : 0
  if (width === 0) throw new RangeError(`unknown float format ${String(format)}`)
  if (bytes.length !== count * width) {
    throw new RangeError(`expected ${count} numbers of ${width} bytes, got ${bytes.length} bytes`)
  }
  // A copy: the source may be a view at an odd offset into a network buffer (and Buffer.slice would not copy).
  const aligned = new Uint8Array(bytes).buffer
  if (width === 4) return new Float32Array(aligned, 0, count)
  const half = new Uint16Array(aligned, 0, count)
  const out = new Float32Array(count)
  const floats = (floatOfHalf ??= Float32Array.from({ length: 65_536 }, (_, bits) => halfToFloat(bits)))
  for (let i = 0; i < count; i++) out[i] = floats[half[i]!]!
  return out
}

export function packFloats(values: ArrayLike<number>, format: FloatFormat): Buffer {
  if (format === FloatFormat.FLOAT_FORMAT_FP32) {
    // The constructor copies typed arrays at once; Float32Array.from goes number by number.
    const packed = new Float32Array(values)
    return Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength)
  }
  if (format !== FloatFormat.FLOAT_FORMAT_FP16) throw new RangeError(`unknown float format ${String(format)}`)
  const packed = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) packed[i] = floatToHalf(values[i]!)
  return Buffer.from(packed.buffer)
}

/** Rows of `k` tokens, most probable first. Shapes: ids and probabilities are [positions, k], row-major. */
export function packTopK(
  ids: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  k: number,
  format: FloatFormat,
): TopK {
  return {
    positions: ids.length / k,
    k,
    ids: Array.from(ids),
    probabilities: packFloats(probabilities, format),
    format,
  }
}

/** Checks the shape and returns the probabilities, [positions, k] row-major. Throws RangeError on a misfit. */
export function unpackTopK(top: TopK): Float32Array {
  if (top.ids.length !== top.positions * top.k) {
    throw new RangeError(`top-k lists ${top.ids.length} ids for ${top.positions} x ${top.k}`)
  }
  return unpackFloats(top.probabilities, top.format, top.ids.length)
}

const scratch = new Float32Array(1)
const scratchBits = new Uint32Array(scratch.buffer)

/** IEEE 754 binary16 bits of x, rounded to nearest even, overflowing to infinity. */
export function floatToHalf(x: number): number {
  scratch[0] = x
  const bits = scratchBits[0]!
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00 // NaN
  if (magnitude >= 0x47800000) return sign | 0x7c00 // 65536 and above, infinity included
  if (magnitude < 0x38800000) {
    // Subnormal half: the value in units of 2^-24, rounded to even.
    return sign | roundHalfEven(Math.abs(scratch[0]!) * 16_777_216)
  }
  // Rebias, then round away the 13 low bits; a carry out of 0x7bff lands on infinity, as it must.
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13)
}

export function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 31
  const fraction = half & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}

function roundHalfEven(x: number): number {
  const low = Math.floor(x)
  const rest = x - low
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low
}
