import type { TensorData } from '@plateau/tensor-graph'

/** A matrix [rows, columns] that multiplies x [.., columns] to [.., rows], in the format it is multiplied in. */
export type PreparedMatrix = FloatMatrix | BlockMatrix

export interface FloatMatrix {
  readonly kind: 'floats'
  readonly rows: number
  readonly columns: number
  /** f32 [rows, columns] */
  readonly values: TensorData
}

/**
 * Codes of b bits in n = ceil(columns / blockSize) blocks a row, with z = 2^(b - 1):
 *
 *   w[r, c] = scales[r, block of c] * (code - z) + shifts[r, block of c]
 *
 * Codes beyond the last column are z.
 */
export interface BlockMatrix {
  readonly kind: 'blocks'
  readonly rows: number
  readonly columns: number
  readonly bits: 4 | 8
  readonly blockSize: number
  /** u8 [rows, n, blockSize * bits / 8]; of two 4-bit codes the first lies in the low half of the byte. */
  readonly codes: TensorData
  /** f32 [rows, n] */
  readonly scales: TensorData
  /** f32 [rows, n]; undefined: all 0. */
  readonly shifts: TensorData | undefined
}

/** What a graph's weights are made of, each stored once. */
export interface PreparedWeights {
  /** Norms and biases, in memory. */
  readonly vectors: ReadonlyMap<string, Float32Array>
  /** Under matrixKey of the layers. Stacked layers of several formats are several matrices, in the order of their rows. */
  readonly matrices: ReadonlyMap<string, readonly PreparedMatrix[]>
}

export function matrixKey(layers: readonly string[]): string {
  return layers.join(' + ')
}

/** Bytes that multiplying by the matrix reads. */
export function matrixBytes(matrix: PreparedMatrix): number {
  const { rows, columns } = matrix
  if (matrix.kind === 'floats') return rows * columns * 4
  const blocks = rows * Math.ceil(columns / matrix.blockSize)
  return (blocks * matrix.blockSize * matrix.bits) / 8 + blocks * (matrix.shifts === undefined ? 4 : 8)
}
