/**
 * ggml's block formats, exactly as its own dequantisation reads them (ggml-quants.c, dequantize_row_*): a value is
 * scale * code + offset, with a scale and an offset for every 32 or 16 consecutive values of a row. Products and sums are
 * made in double precision, where they are exact, and rounded to a 32-bit float once.
 */
import type { QuantizedMatrix } from '@plateau/causal-lm'
import { halfToFloat } from '@plateau/contracts'

export function isBlockFormat(type: string): boolean {
  return formats.has(type)
}

/** A matrix [rows, columns] stored as `type`. Codes, scales and offsets as QuantizedMatrix has them, nothing rounded. */
export function unpackBlocks(type: string, bytes: Uint8Array, rows: number, columns: number): QuantizedMatrix {
  const format = formats.get(type)
  if (format === undefined) throw new TypeError(`${type} is not a block format`)
  const { blockSize, bits, symmetric, storedBytes, storedElements, unpack } = format
  const count = (rows * columns) / blockSize
  const scales = new Float32Array(count)
  const offsets = symmetric ? undefined : new Float32Array(count)
  const codes = new Uint8Array(rows * columns)
  const stored = (rows * columns) / storedElements
  for (let block = 0; block < stored; block++) {
    const first = (block * storedElements) / blockSize
    unpack({ bytes, at: block * storedBytes, codes, out: block * storedElements, scales, offsets: offsets!, first })
  }
  return { rows, columns, bits, blockSize, codes, scales, offsets }
}

/** The values of a matrix, [rows, columns] row-major. */
export function multiplyOut({ codes, scales, offsets, blockSize, bits }: QuantizedMatrix): Float32Array {
  const values = new Float32Array(codes.length)
  const centre = bits === 4 ? 8 : 128
  for (let block = 0; block < scales.length; block++) {
    const scale = scales[block]!
    const offset = offsets === undefined ? -centre * scale : offsets[block]!
    const end = (block + 1) * blockSize
    for (let i = block * blockSize; i < end; i++) values[i] = scale * codes[i]! + offset
  }
  return values
}

/** One stored block and where its parts go. */
interface Unpacking {
  readonly bytes: Uint8Array
  readonly at: number
  readonly codes: Uint8Array
  readonly out: number
  readonly scales: Float32Array
  readonly offsets: Float32Array
  /** Index of its first scale. */
  readonly first: number
}

interface BlockFormat {
  readonly blockSize: number
  readonly bits: 4 | 8
  readonly symmetric: boolean
  readonly storedElements: number
  readonly storedBytes: number
  readonly unpack: (block: Unpacking) => void
}

function half(bytes: Uint8Array, at: number): number {
  return halfToFloat(bytes[at]! | (bytes[at + 1]! << 8))
}

/** 32 codes in 16 bytes: the low halves first. With `high`, a fifth bit for each, in 4 bytes from there. `up` is added. */
function nibbles({ bytes, codes, out }: Unpacking, from: number, high?: number, up = 0): void {
  for (let i = 0; i < 16; i++) {
    const packed = bytes[from + i]!
    codes[out + i] = (packed & 15) + up + (high === undefined ? 0 : bit(bytes, high, i) * 16)
    codes[out + 16 + i] = (packed >> 4) + up + (high === undefined ? 0 : bit(bytes, high, i + 16) * 16)
  }
}

function bit(bytes: Uint8Array, from: number, index: number): number {
  return (bytes[from + (index >> 3)]! >> (index & 7)) & 1
}

const q4_0 = (block: Unpacking): void => {
  block.scales[block.first] = half(block.bytes, block.at)
  nibbles(block, block.at + 2)
}

const q4_1 = (block: Unpacking): void => {
  block.scales[block.first] = half(block.bytes, block.at)
  block.offsets[block.first] = half(block.bytes, block.at + 2)
  nibbles(block, block.at + 4)
}

/** Its code 16 means zero; that is 128 for the eight bits it is given here. */
const q5_0 = (block: Unpacking): void => {
  block.scales[block.first] = half(block.bytes, block.at)
  nibbles(block, block.at + 6, block.at + 2, 112)
}

const q5_1 = (block: Unpacking): void => {
  block.scales[block.first] = half(block.bytes, block.at)
  block.offsets[block.first] = half(block.bytes, block.at + 2)
  nibbles(block, block.at + 8, block.at + 4)
}

const q8_0 = ({ bytes, at, codes, out, scales, first }: Unpacking): void => {
  scales[first] = half(bytes, at)
  for (let i = 0; i < 32; i++) codes[out + i] = bytes[at + 2 + i]! ^ 128
}

/** Eight 6-bit scales and eight 6-bit minima in 12 bytes, times the block's own two. */
function superBlockScales({ bytes, at, scales, offsets, first }: Unpacking): void {
  const scale = half(bytes, at)
  const least = half(bytes, at + 2)
  const packed = (i: number): number => bytes[at + 4 + i]!
  for (let j = 0; j < 8; j++) {
    const six = j < 4 ? packed(j) & 63 : (packed(j + 4) & 15) | ((packed(j - 4) >> 6) << 4)
    const min = j < 4 ? packed(j + 4) & 63 : (packed(j + 4) >> 4) | ((packed(j) >> 6) << 4)
    scales[first + j] = scale * six
    offsets[first + j] = -least * min
  }
}

const q4_K = (block: Unpacking): void => {
  const { bytes, at, codes, out } = block
  superBlockScales(block)
  for (let i = 0; i < 128; i++) {
    const to = out + (i >> 5) * 64 + (i & 31)
    codes[to] = bytes[at + 16 + i]! & 15
    codes[to + 32] = bytes[at + 16 + i]! >> 4
  }
}

const q5_K = (block: Unpacking): void => {
  const { bytes, at, codes, out } = block
  superBlockScales(block)
  for (let i = 0; i < 128; i++) {
    const to = out + (i >> 5) * 64 + (i & 31)
    const fifth = bytes[at + 16 + (i & 31)]! >> (2 * (i >> 5))
    codes[to] = (bytes[at + 48 + i]! & 15) | ((fifth & 1) << 4)
    codes[to + 32] = (bytes[at + 48 + i]! >> 4) | ((fifth & 2) << 3)
  }
}

/** Its code 32 means zero; 128 here. 128 bytes of low halves, 64 of upper pairs, 16 signed scales, one scale of all. */
const q6_K = ({ bytes, at, codes, out, scales, first }: Unpacking): void => {
  const scale = half(bytes, at + 208)
  for (let j = 0; j < 16; j++) scales[first + j] = scale * ((bytes[at + 192 + j]! << 24) >> 24)
  for (let i = 0; i < 256; i++) {
    const [part, within] = [i >> 7, i & 127]
    const low = bytes[at + part * 64 + (within & 63)]! >> (within >> 6 === 0 ? 0 : 4)
    const upper = bytes[at + 128 + part * 32 + (within & 31)]! >> (2 * (within >> 5))
    codes[out + i] = ((low & 15) | ((upper & 3) << 4)) + 96
  }
}

const legacy = { blockSize: 32, storedElements: 32 }
const kQuant = { storedElements: 256, symmetric: false }
const formats: ReadonlyMap<string, BlockFormat> = new Map<string, BlockFormat>([
  ['Q4_0', { ...legacy, bits: 4, symmetric: true, storedBytes: 18, unpack: q4_0 }],
  ['Q4_1', { ...legacy, bits: 4, symmetric: false, storedBytes: 20, unpack: q4_1 }],
  ['Q5_0', { ...legacy, bits: 8, symmetric: true, storedBytes: 22, unpack: q5_0 }],
  ['Q5_1', { ...legacy, bits: 8, symmetric: false, storedBytes: 24, unpack: q5_1 }],
  ['Q8_0', { ...legacy, bits: 8, symmetric: true, storedBytes: 34, unpack: q8_0 }],
  ['Q4_K', { ...kQuant, blockSize: 32, bits: 4, storedBytes: 144, unpack: q4_K }],
  ['Q5_K', { ...kQuant, blockSize: 32, bits: 8, storedBytes: 176, unpack: q5_K }],
  ['Q6_K', { ...kQuant, blockSize: 16, bits: 8, symmetric: true, storedBytes: 210, unpack: q6_K }],
])
