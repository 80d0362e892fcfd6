/**
 * Sufficient statistics of a weighted ridge regression from X [n, D] to Y [n, O]:
 *
 *   gram = sum over rows of w x x'   [D, D]        moment = sum over rows of w x y'   [D, O]
 *
 * They are sums, so they merge in any order, decay, and can be taken back exactly: subtracting the sums of a sample
 * gives what never having seen it would have given (to rounding). Kept in double precision; rows arrive in single.
 */
export interface RidgeSums {
  /** D, the number of input features. */
  readonly inputs: number
  /** O, the number of outputs. */
  readonly outputs: number
  /** [D, D], row-major. Only the lower triangle (column <= row) is kept up to date. */
  readonly gram: Float64Array
  /** [D, O], row-major. */
  readonly moment: Float64Array
  /** Sum of the row weights. */
  weight: number
}

export function emptySums(inputs: number, outputs: number): RidgeSums {
  if (!Number.isInteger(inputs) || inputs < 1) throw new RangeError(`inputs must be a positive integer, got ${inputs}`)
  if (!Number.isInteger(outputs) || outputs < 1) {
    throw new RangeError(`outputs must be a positive integer, got ${outputs}`)
  }
  return {
    inputs,
    outputs,
    gram: new Float64Array(inputs * inputs),
    moment: new Float64Array(inputs * outputs),
    weight: 0,
  }
}

/**
 * Adds rows one by one: the plain version, against which the matrix-product version (libs/inference, gram.ts) is tested.
 * Shapes: x [n, D], y [n, O], weights [n].
 */
export function addRows(sums: RidgeSums, x: Float32Array, y: Float32Array, weights: Float32Array): void {
  const { inputs, outputs, gram, moment } = sums
  const n = weights.length
  if (x.length !== n * inputs || y.length !== n * outputs) {
    throw new RangeError(
      `${n} rows need ${n * inputs} inputs and ${n * outputs} outputs, got ${x.length} and ${y.length}`,
    )
  }
  for (let row = 0; row < n; row++) {
    const w = weights[row]!
    if (!(w >= 0) || w === Infinity) throw new RangeError(`weight ${w} of row ${row} is not a finite number >= 0`)
    for (let i = 0; i < inputs; i++) {
      const xi = w * x[row * inputs + i]!
      for (let j = 0; j <= i; j++) gram[i * inputs + j]! += xi * x[row * inputs + j]!
      for (let o = 0; o < outputs; o++) moment[i * outputs + o]! += xi * y[row * outputs + o]!
    }
    sums.weight += w
  }
}

/** Part of X' diag(w) X computed elsewhere: [rows, columns], beginning at (row, column), no part of it above the diagonal. */
export interface GramPart {
  readonly row: number
  readonly column: number
  readonly rows: number
  readonly columns: number
  readonly data: Float32Array
}

/** Adds products computed elsewhere: gram in parts, moment [D, O] = X' diag(w) Y, weight = sum of w. */
export function addProducts(sums: RidgeSums, gram: Iterable<GramPart>, moment: Float32Array, weight: number): void {
  const { inputs } = sums
  if (moment.length !== sums.moment.length) {
    throw new RangeError(`the products' moment has ${moment.length} numbers, not ${sums.moment.length}`)
  }
  for (const { row, column, rows, columns, data } of gram) {
    if (data.length !== rows * columns || row + rows > inputs || column + columns > inputs) {
      throw new RangeError(`a part of ${data.length} numbers is not ${rows} x ${columns} of ${inputs} x ${inputs}`)
    }
    for (let i = 0; i < rows; i++) {
      const to = (row + i) * inputs + column
      const end = Math.min(columns, row + i + 1 - column)
      for (let j = 0; j < end; j++) sums.gram[to + j]! += data[i * columns + j]!
    }
  }
  for (let at = 0; at < moment.length; at++) sums.moment[at]! += moment[at]!
  sums.weight += weight
}

/** into += times from. */
export function mergeSums(into: RidgeSums, from: RidgeSums, times = 1): void {
  combine(into, from, times)
}

/** from's rows are forgotten: into -= from. */
export function subtractSums(into: RidgeSums, from: RidgeSums): void {
  combine(into, from, -1)
}

/** Every row so far counts `factor` times as much, 0 <= factor <= 1. */
export function decaySums(sums: RidgeSums, factor: number): void {
  if (!(factor >= 0 && factor <= 1)) throw new RangeError(`decay factor must be in [0, 1], got ${factor}`)
  for (let at = 0; at < sums.gram.length; at++) sums.gram[at]! *= factor
  for (let at = 0; at < sums.moment.length; at++) sums.moment[at]! *= factor
  sums.weight *= factor
}

function combine(into: RidgeSums, from: RidgeSums, times: number): void {
  if (into.inputs !== from.inputs || into.outputs !== from.outputs) {
    throw new RangeError(
      `cannot combine sums of ${into.inputs} to ${into.outputs} with ${from.inputs} to ${from.outputs}`,
    )
  }
  for (let at = 0; at < into.gram.length; at++) into.gram[at]! += times * from.gram[at]!
  for (let at = 0; at < into.moment.length; at++) into.moment[at]! += times * from.moment[at]!
  into.weight += times * from.weight
}

/** [rows, columns] to [columns, rows]: a solution [D, O] lies in a head as [O, D]. */
export function transposed<T extends Float32Array | Float64Array>(
  from: Float32Array | Float64Array,
  rows: number,
  columns: number,
  into: T,
): T {
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) into[j * rows + i] = from[i * columns + j]!
  return into
}

const HEADER_NUMBERS = 3

/** D, O, weight, then the gram's lower triangle row by row, then the moment: little-endian doubles. */
export function encodeSums(sums: RidgeSums): Uint8Array {
  const { inputs, outputs } = sums
  const triangle = (inputs * (inputs + 1)) / 2
  const packed = new Float64Array(HEADER_NUMBERS + triangle + inputs * outputs)
  packed.set([inputs, outputs, sums.weight])
  let at = HEADER_NUMBERS
  for (let i = 0; i < inputs; i++) {
    packed.set(sums.gram.subarray(i * inputs, i * inputs + i + 1), at)
    at += i + 1
  }
  packed.set(sums.moment, at)
  return new Uint8Array(packed.buffer)
}

/** Throws RangeError when the bytes are not what encodeSums writes. */
export function decodeSums(bytes: Uint8Array): RidgeSums {
  if (bytes.length % 8 !== 0 || bytes.length < 8 * HEADER_NUMBERS) {
    throw new RangeError(`${bytes.length} bytes are not encoded ridge sums`)
  }
  // A copy: the source may start at an odd offset. Not by slice, which copies nothing of a Buffer.
  const packed = new Float64Array(new Uint8Array(bytes).buffer)
  const inputs = packed[0]!
  const outputs = packed[1]!
  if (!Number.isInteger(inputs) || !Number.isInteger(outputs) || inputs < 1 || outputs < 1) {
    throw new RangeError('the header of the encoded ridge sums is damaged')
  }
  const triangle = (inputs * (inputs + 1)) / 2
  if (packed.length !== HEADER_NUMBERS + triangle + inputs * outputs) {
    throw new RangeError(`encoded ridge sums of ${inputs} to ${outputs} have ${packed.length} numbers: truncated?`)
  }
  const sums = emptySums(inputs, outputs)
  sums.weight = packed[2]!
  let at = HEADER_NUMBERS
  for (let i = 0; i < inputs; i++) {
    sums.gram.set(packed.subarray(at, at + i + 1), i * inputs)
    at += i + 1
  }
  sums.moment.set(packed.subarray(at))
  return sums
}
