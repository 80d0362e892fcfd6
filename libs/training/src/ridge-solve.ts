import type { RidgeSums } from './ridge-sums.js'

/**
 * W = (gram + Lambda)^-1 moment, [D, O] row-major, by Cholesky factorisation in double precision. Lambda is lambda I, or
 * a diagonal with one number per input: how strongly each is held to zero.
 * Four rows share each load of a fifth one, so D = 1024, O = 256 takes well under a second; libs/inference has the same on
 * matrix products, for sizes beyond.
 *
 * Throws RangeError when the matrix is not positive definite (lambda too small for what was summed, or sums damaged by
 * subtracting what was never added).
 */
export function solveRidge(sums: RidgeSums, lambda: number | Float64Array): Float64Array {
  const factor = choleskyFactor(sums, ridgeDiagonal(sums, lambda))
  const w = sums.moment.slice()
  forwardSubstitute(factor, w, sums.inputs, sums.outputs)
  backSubstitute(factor, w, sums.inputs, sums.outputs)
  return w
}

/** Lambda's diagonal. Throws RangeError for numbers that are negative, not finite or not one per input. */
export function ridgeDiagonal({ inputs }: RidgeSums, lambda: number | Float64Array): Float64Array {
  const diagonal = typeof lambda === 'number' ? new Float64Array(inputs).fill(lambda) : lambda
  if (diagonal.length !== inputs) throw new RangeError(`lambda has ${diagonal.length} numbers for ${inputs} inputs`)
  const bad = diagonal.find((value) => !(value >= 0) || value === Infinity)
  if (bad !== undefined) throw new RangeError(`lambda must be a finite number >= 0, got ${bad}`)
  return diagonal
}

/** L with L L' = gram + Lambda, [D, D] row-major lower triangle. */
function choleskyFactor(sums: RidgeSums, lambda: Float64Array): Float64Array {
  const d = sums.inputs
  const l = sums.gram.slice()
  for (let i = 0; i < d; i++) l[i * d + i]! += lambda[i]!
  for (let first = 0; first < d; first += 4) {
    const end = Math.min(first + 4, d)
    if (end - first === 4) eliminateFourRows(l, first, d)
    else for (let row = first; row < end; row++) eliminateColumns(l, row, 0, first, d)
    // The small block on the diagonal.
    for (let row = first; row < end; row++) {
      eliminateColumns(l, row, first, row, d)
      let pivot = l[row * d + row]!
      for (let k = 0; k < row; k++) pivot -= l[row * d + k]! ** 2
      if (!(pivot > 0)) {
        throw new RangeError(
          `the sums are not positive definite: pivot ${row} of ${d} is ${pivot} with lambda ${lambda[row]}`,
        )
      }
      l[row * d + row] = Math.sqrt(pivot)
    }
  }
  return l
}

/** Columns [from, to) of one row, all rows below `to` being final. */
function eliminateColumns(l: Float64Array, row: number, from: number, to: number, d: number): void {
  for (let col = from; col < to; col++) {
    let sum = l[row * d + col]!
    for (let k = 0; k < col; k++) sum -= l[row * d + k]! * l[col * d + k]!
    l[row * d + col] = sum / l[col * d + col]!
  }
}

/** Columns [0, first) of rows first .. first + 3: each final row is read once for four dot products. */
function eliminateFourRows(l: Float64Array, first: number, d: number): void {
  const r0 = first * d
  const r1 = r0 + d
  const r2 = r1 + d
  const r3 = r2 + d
  for (let col = 0; col < first; col++) {
    const c = col * d
    let s0 = l[r0 + col]!
    let s1 = l[r1 + col]!
    let s2 = l[r2 + col]!
    let s3 = l[r3 + col]!
    for (let k = 0; k < col; k++) {
      const x = l[c + k]!
      s0 -= x * l[r0 + k]!
      s1 -= x * l[r1 + k]!
      s2 -= x * l[r2 + k]!
      s3 -= x * l[r3 + k]!
    }
    const scale = 1 / l[c + col]!
    l[r0 + col] = s0 * scale
    l[r1 + col] = s1 * scale
    l[r2 + col] = s2 * scale
    l[r3 + col] = s3 * scale
  }
}

/** b := L^-1 b for b [D, O]. */
function forwardSubstitute(l: Float64Array, b: Float64Array, d: number, outputs: number): void {
  for (let i = 0; i < d; i++) {
    subtractRows(b, i, outputs, 0, i, (k) => l[i * d + k]!)
    divideRow(b, i, outputs, l[i * d + i]!)
  }
}

/** b := L'^-1 b for b [D, O]. */
function backSubstitute(l: Float64Array, b: Float64Array, d: number, outputs: number): void {
  for (let i = d - 1; i >= 0; i--) {
    subtractRows(b, i, outputs, i + 1, d, (k) => l[k * d + i]!)
    divideRow(b, i, outputs, l[i * d + i]!)
  }
}

/** b[row] -= sum over k in [from, to) of coefficient(k) * b[k]; four rows at a time. */
function subtractRows(
  b: Float64Array,
  row: number,
  outputs: number,
  from: number,
  to: number,
  coefficient: (k: number) => number,
): void {
  const out = row * outputs
  let k = from
  for (; k + 4 <= to; k += 4) {
    const c0 = coefficient(k)
    const c1 = coefficient(k + 1)
    const c2 = coefficient(k + 2)
    const c3 = coefficient(k + 3)
    const b0 = k * outputs
    const b1 = b0 + outputs
    const b2 = b1 + outputs
    const b3 = b2 + outputs
    for (let o = 0; o < outputs; o++) {
      b[out + o]! -= c0 * b[b0 + o]! + c1 * b[b1 + o]! + c2 * b[b2 + o]! + c3 * b[b3 + o]!
    }
  }
  for (; k < to; k++) {
    const c = coefficient(k)
    for (let o = 0; o < outputs; o++) b[out + o]! -= c * b[k * outputs + o]!
  }
}

function divideRow(b: Float64Array, row: number, outputs: number, by: number): void {
  for (let o = 0; o < outputs; o++) b[row * outputs + o]! /= by
}
