/** What is known of each row of a window besides what a draft learns from: learned policies tell rows apart by it. */
import { FloatFormat, PlateauError, unpackTopK, type TokenWindow } from '@plateau/contracts'
import { flatnessFromSumSquares, flatnessInterval, rounding } from '@plateau/flatness'

export interface RowSignals {
  /** [n]. Where the record has no sum of squares this is the middle of the certified interval, as the scorer says it. */
  readonly flatness: Float32Array
  /** [n]: sum over v of min(p, q) where a draft proposed; NaN elsewhere. */
  readonly draftOverlap: Float32Array
}

/** Room for the rounding of sums that are 1. */
const SLACK = 1 / 256

/** Of a window that `windowRows` has made `rows` rows of. Throws PlateauError FIELD_INVALID. */
export function rowSignals(window: TokenWindow, rows: number): RowSignals {
  const from = window.tokenIds.length - rows
  return { flatness: flatnessOf(window).subarray(from), draftOverlap: overlapOf(window).subarray(from) }
}

/**
 * What each row counts in gradient steps; undefined where each counts 1. `weights`: of the window's positions. Throws
 * PlateauError FIELD_INVALID.
 */
export function gradientWeightsOf(
  window: TokenWindow,
  rows: number,
  weights: readonly number[],
): Float32Array | undefined {
  if (weights.length === 0) return undefined
  const n = window.tokenIds.length
  expectLength('gradient_weights', weights.length, n)
  const stored = Float32Array.from(weights)
  const bad = stored.findIndex((weight) => !(weight >= 0 && Number.isFinite(weight)))
  if (bad >= 0) throw invalid(`gradient_weights[${bad}] is ${weights[bad]}`)
  return stored.subarray(n - rows)
}

function flatnessOf(window: TokenWindow): Float32Array {
  const { sumSquares, vocabSize, tokenIds } = window
  if (sumSquares.length === 0) return certifiedMiddle(window)
  expectLength('sum_squares', sumSquares.length, tokenIds.length)
  const bad = sumSquares.findIndex((squares) => !(squares >= 0 && squares <= 1 + SLACK))
  if (bad >= 0) throw invalid(`sum_squares[${bad}] is ${sumSquares[bad]}`)
  return Float32Array.from(sumSquares, (squares) => flatnessFromSumSquares(squares, vocabSize))
}

function certifiedMiddle({ top, tailMass, tokenIds, vocabSize }: TokenWindow): Float32Array {
  const { k, format } = top!
  expectLength('tail_mass', tailMass.length, tokenIds.length)
  const probabilities = unpackTopK(top!)
  const stored = format === FloatFormat.FLOAT_FORMAT_FP16 ? rounding.fp16 : rounding.fp32
  return Float32Array.from(tailMass, (mass, row) => {
    const listed = { probabilities, start: row * k, k, tailMass: mass, vocabSize, rounding: stored }
    const { low, high } = flatnessInterval(listed)
    return (low + high) / 2
  })
}

function overlapOf({ draftOverlap, tokenIds }: TokenWindow): Float32Array {
  if (draftOverlap.length === 0) return new Float32Array(tokenIds.length).fill(Number.NaN)
  expectLength('draft_overlap', draftOverlap.length, tokenIds.length)
  const bad = draftOverlap.findIndex((overlap) => overlap < 0 || overlap > 1 + SLACK)
  if (bad >= 0) throw invalid(`draft_overlap[${bad}] is ${draftOverlap[bad]}`)
  return Float32Array.from(draftOverlap)
}

function expectLength(field: string, length: number, n: number): void {
  if (length !== n) throw invalid(`${field} has ${length} numbers for ${n} positions`)
}

function invalid(sentence: string): PlateauError {
  return new PlateauError('FIELD_INVALID', sentence)
}
