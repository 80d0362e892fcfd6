/** Matrices as block codes. The formulas of the formats stand in prepared-weights.ts. */
import type { BlockMatrix } from './prepared-weights.js'
import type { QuantizedMatrix } from './weight-source.js'

/** With its values in memory. */
export interface BlockValues extends BlockMatrix {
  readonly codes: Uint8Array
  readonly scales: Float32Array
  readonly shifts: Float32Array | undefined
}

/** Large blocks have fewer scales to read; smaller ones where a row is no whole number of them. */
function blockSizeFor(columns: number): 32 | 64 {
  return columns % 64 === 0 ? 64 : 32
}

/** Floats [rows, columns] to 8-bit codes, rounded to the nearest: an error of at most the block's largest / 254. */
export function quantizeTo8Bits(values: Float32Array, columns: number): BlockValues {
  const rows = values.length / columns
  const blockSize = blockSizeFor(columns)
  const blocks = Math.ceil(columns / blockSize)
  const codes = new Uint8Array(rows * blocks * blockSize).fill(128)
  const scales = new Float32Array(rows * blocks)
  for (let row = 0, block = 0; row < rows; row++) {
    for (let column = 0; column < columns; column += blockSize, block++) {
      const start = row * columns + column
      const end = row * columns + Math.min(columns, column + blockSize)
      const largest = largestMagnitude(values, start, end)
      scales[block] = largest / 127
      const perUnit = largest === 0 ? 0 : 127 / largest
      const to = block * blockSize - start
      for (let i = start; i < end; i++) codes[to + i] = Math.round(values[i]! * perUnit) + 128
    }
  }
  return { kind: 'blocks', rows, columns, bits: 8, blockSize, codes, scales, shifts: undefined }
}

/** A stored matrix as it is: nothing is rounded. Its columns are a whole number of blocks. */
export function blocksAsStored(matrix: QuantizedMatrix): BlockValues {
  const { rows, columns, bits, blockSize, scales, offsets } = matrix
  const codes = bits === 4 ? packNibbles(matrix.codes) : matrix.codes
  const zero = bits === 4 ? 8 : 128
  const shifts = offsets?.map((offset, i) => offset + zero * scales[i]!)
  return { kind: 'blocks', rows, columns, bits, blockSize, codes, scales, shifts }
}

/** Two codes a byte, the first in the low half. */
function packNibbles(codes: Uint8Array): Uint8Array {
  const packed = new Uint8Array(codes.length / 2)
  for (let i = 0; i < packed.length; i++) packed[i] = codes[2 * i]! | (codes[2 * i + 1]! << 4)
  return packed
}

function largestMagnitude(values: Float32Array, start: number, end: number): number {
  let largest = 0
  for (let i = start; i < end; i++) {
    const magnitude = Math.abs(values[i]!)
    if (magnitude > largest) largest = magnitude
  }
  return largest
}
