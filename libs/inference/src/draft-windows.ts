/** Captured windows as rows that a feature-fed head can learn from. */
import { PlateauError, unpackFloats, unpackTopK, type TokenWindow } from '@plateau/contracts'
import type { DraftRows } from '@plateau/training'

export interface WindowExpectations {
  readonly targetFingerprint: string
  readonly tokenizerHash: string
  readonly vocabSize: number
  /**
   * The target's final norm weight, [H]: a captured state divided by it has root mean square 1. Undefined: the draft reads
   * tokens only, and the states, whether there or not, are left out of the rows.
   */
  readonly norm: Float32Array | undefined
}

/** fp16 features of a small norm weight leave some slack around 1. */
const FEATURE_RMS = { min: 0.7, max: 1.4 }

/**
 * A window's usable rows: all positions but the first, and the first too when the window has its lead. `weights` has one
 * number per position of the window, or is empty (all 1). Throws PlateauError naming the field: WINDOW_TARGET_MISMATCH,
 * WINDOW_TOKENIZER_MISMATCH, WINDOW_WITHOUT_FEATURES, WINDOW_INVALID.
 */
export function windowRows(
  window: TokenWindow,
  expected: WindowExpectations,
  weights: readonly number[] = [],
): DraftRows {
  const { top } = checkedWindow(window, expected)
  const n = window.tokenIds.length
  const probs = probabilities(window, top)
  const from = window.hasLead ? 0 : 1 // the first predicted position
  const rows = Math.max(0, n - from)
  const tokens = [...(window.hasLead ? [window.leadTokenId] : []), ...window.tokenIds.slice(0, n - 1)]
  return {
    length: rows,
    tokens: Int32Array.from(tokens.slice(0, rows)),
    ...stateRows(window, expected.norm, rows),
    listed: top.k,
    listedIds: Int32Array.from(top.ids.slice(from * top.k)),
    listedProbs: probs.subarray(from * top.k),
    weights: checkedWeights(window, weights, n).subarray(from),
  }
}

function stateRows(
  window: TokenWindow,
  norm: Float32Array | undefined,
  rows: number,
): Pick<DraftRows, 'features' | 'nextFeatures'> {
  if (norm === undefined) return { features: new Float32Array(0), nextFeatures: new Float32Array(0) }
  const hidden = norm.length
  const n = window.tokenIds.length
  const states = floats(window, 'features', window.features, n * hidden)
  const lead = window.hasLead ? floats(window, 'lead_feature', window.leadFeature, hidden) : undefined
  checkFeatureScale(window, states, norm)
  if (lead !== undefined) checkFeatureScale(window, lead, norm)
  const features = new Float32Array(rows * hidden)
  if (lead !== undefined) features.set(lead)
  features.set(states.subarray(0, (n - 1) * hidden), lead === undefined ? 0 : hidden)
  return { features, nextFeatures: states.subarray(lead === undefined ? hidden : 0) }
}

function checkedWindow(window: TokenWindow, expected: WindowExpectations) {
  const { provenance, top } = window
  if (provenance === undefined) throw invalid(window, 'provenance', 'is missing')
  if (provenance.schemaVersion !== 1) throw invalid(window, 'schema_version', `is ${provenance.schemaVersion}, not 1`)
  if (provenance.targetFingerprint !== expected.targetFingerprint) {
    throw new PlateauError(
      'WINDOW_TARGET_MISMATCH',
      `a window was captured from target ${provenance.targetFingerprint}, this draft is for ${expected.targetFingerprint}`,
      { facts: { found: provenance.targetFingerprint, expected: expected.targetFingerprint } },
    )
  }
  if (provenance.tokenizerHash !== expected.tokenizerHash) {
    throw new PlateauError(
      'WINDOW_TOKENIZER_MISMATCH',
      `a window was written with tokenizer ${provenance.tokenizerHash}, this draft uses ${expected.tokenizerHash}`,
      { facts: { found: provenance.tokenizerHash, expected: expected.tokenizerHash } },
    )
  }
  const n = window.tokenIds.length
  if (n === 0) throw invalid(window, 'token_ids', 'is empty')
  if (window.vocabSize !== expected.vocabSize) {
    throw invalid(window, 'vocab_size', `is ${window.vocabSize}, not ${expected.vocabSize}`)
  }
  const { norm } = expected
  if (norm !== undefined && window.features.length === 0) {
    throw new PlateauError('WINDOW_WITHOUT_FEATURES', 'a window has no features: capture them to train this draft')
  }
  if (norm !== undefined && window.featureSize !== norm.length) {
    throw invalid(window, 'feature_size', `is ${window.featureSize}, not ${norm.length}`)
  }
  if (top === undefined || top.positions !== n || top.k === 0) throw invalid(window, 'top', `does not list ${n} rows`)
  const badId = (id: number): boolean => !(id < expected.vocabSize)
  if (window.tokenIds.some(badId)) throw invalid(window, 'token_ids', 'has an id outside the vocabulary')
  if (window.hasLead && badId(window.leadTokenId)) throw invalid(window, 'lead_token_id', 'is outside the vocabulary')
  if (top.ids.some(badId)) throw invalid(window, 'top.ids', 'has an id outside the vocabulary')
  return { top }
}

function floats(window: TokenWindow, field: string, bytes: Uint8Array, count: number): Float32Array {
  const values = unpacked(window, field, () => unpackFloats(bytes, window.featureFormat, count))
  if (!values.every(Number.isFinite)) throw invalid(window, field, 'has numbers that are not finite')
  return values
}

function probabilities(window: TokenWindow, top: NonNullable<TokenWindow['top']>): Float32Array {
  const probs = unpacked(window, 'top', () => unpackTopK(top))
  for (let row = 0; row < top.positions; row++) {
    let mass = 0
    const seen = new Set<number>()
    for (let at = row * top.k; at < (row + 1) * top.k; at++) {
      if (!(probs[at]! >= 0)) throw invalid(window, 'top.probabilities', `has ${probs[at]} in row ${row}`)
      mass += probs[at]!
      seen.add(top.ids[at]!)
    }
    if (mass > 1.02) throw invalid(window, 'top.probabilities', `sums to ${mass} in row ${row}`)
    if (seen.size !== top.k) throw invalid(window, 'top.ids', `lists a token twice in row ${row}`)
  }
  return probs
}

/** A state that does not look like the output of the target's final norm is damaged, or was made up. */
function checkFeatureScale(window: TokenWindow, features: Float32Array, norm: Float32Array): void {
  const hidden = norm.length
  for (let row = 0; row < features.length / hidden; row++) {
    let squares = 0
    for (let i = 0; i < hidden; i++) squares += (features[row * hidden + i]! / norm[i]!) ** 2
    const rms = Math.sqrt(squares / hidden)
    if (!(rms >= FEATURE_RMS.min && rms <= FEATURE_RMS.max)) {
      throw invalid(window, 'features', `row ${row} has scale ${rms.toPrecision(3)}, the target's states have 1`)
    }
  }
}

function checkedWeights(window: TokenWindow, weights: readonly number[], n: number): Float32Array {
  if (weights.length === 0) return new Float32Array(n).fill(1)
  if (weights.length !== n) throw invalid(window, 'weights', `has ${weights.length} numbers for ${n} positions`)
  if (weights.some((w) => !(w >= 0 && w < 1e6)))
    throw invalid(window, 'weights', 'has a number that cannot be a weight')
  return Float32Array.from(weights)
}

function unpacked(window: TokenWindow, field: string, unpack: () => Float32Array): Float32Array {
  try {
    return unpack()
  } catch (cause) {
    throw invalid(window, field, cause instanceof Error ? cause.message : String(cause), cause)
  }
}

function invalid(window: TokenWindow, field: string, why: string, cause?: unknown): PlateauError {
  return new PlateauError('WINDOW_INVALID', `${field} of window ${window.windowIndex} of a sample: ${why}`, {
    facts: { field, sampleId: window.sampleId, windowIndex: window.windowIndex },
    cause,
  })
}
