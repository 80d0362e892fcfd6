import type { Parameter } from './config.js'

/**
 * Where a model's weights come from: read one by one when they are asked for, so that a model need not fit into memory
 * twice. Names and layouts are Hugging Face's (linear weights [out, in], heads in rotate-half order), whatever the file's
 * own are.
 */
export interface WeightSource {
  /** Every parameter of the configuration, as parameterShapes orders them. */
  readonly names: readonly string[]
  /** As 32-bit floats, exact for every stored type. Throws PlateauError naming the tensor: missing, misshapen, not finite. */
  read(name: string): Promise<Parameter>
  /** The stored blocks, where the file quantised this matrix; undefined where it holds floats. */
  readBlocks(name: string): Promise<QuantizedMatrix | undefined>
}

/**
 * A matrix [rows, columns] of b-bit codes in blocks of `blockSize` consecutive columns of a row, n = columns / blockSize
 * blocks a row:
 *
 *   w[r, c] = scales[r n + floor(c / blockSize)] * code + offsets[same]
 *
 * `codes` holds one byte a code, [rows, columns]: 0..15 for 4 bits; for 8 bits the signed code + 128, the offset
 * accounting for it (so that Q8_0 has offsets = -128 scale, left out: see `offsets`).
 */
export interface QuantizedMatrix {
  readonly rows: number
  readonly columns: number
  readonly bits: 4 | 8
  readonly blockSize: number
  readonly codes: Uint8Array
  /** [rows, n] */
  readonly scales: Float32Array
  /** [rows, n]; undefined: symmetric, offset = -8 scale (4 bits) or -128 scale (8 bits). */
  readonly offsets: Float32Array | undefined
}
