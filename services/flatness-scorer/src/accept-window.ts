import {
  decodeHeaders,
  FloatFormat,
  messageOf,
  PlateauError,
  TokenWindow,
  topics,
  unpackTopK,
  type TopK,
} from '@plateau/contracts'
import type { LogRecord } from '@plateau/event-log'
import { MOST_TRIALS } from '@plateau/flatness'

/** A record that is a well-formed window: everything after this may trust its shapes and ranges. */
export interface AcceptedWindow {
  readonly window: TokenWindow
  readonly top: TopK
  /** [positions, k], most probable first. */
  readonly probabilities: Float32Array
  readonly traceparent: string | undefined
  readonly record: LogRecord
  /** The record's value: the encoded window. */
  readonly encoded: Uint8Array
}

const SCHEMA_VERSION = 1

/** A row of fp16 probabilities sums to 1 within 2^-11; this leaves room for the engine's own fp32 sums. */
const MASS_SLACK = 1 / 256

/** Half of sum q |g - <q, g>|, and g = p - q and its mean lie in [-1, 1]: no first-order gain is larger. */
const MOST_GAIN = 1 + MASS_SLACK

/** Room for a window's weights, decision and the names of the rules that would have kept it, besides itself in one record. */
const TRAINING_OVERHEAD_BYTES = 256 + MOST_TRIALS * 160
const TRAINING_BYTES_PER_POSITION = 8

/** Throws a PlateauError, whose code is the reason on the dead letter, when the record cannot be used. */
export function acceptWindow(record: LogRecord): AcceptedWindow {
  const headers = decodeHeaders(record.headers)
  if (!headers) refuse('HEADERS_MISSING', 'a CloudEvents header is missing or malformed')
  if (headers.type !== topics.tokenDistributions.messageType) {
    refuse('MESSAGE_TYPE_UNEXPECTED', `the record holds a ${headers.type}`)
  }
  if (record.value === null) refuse('VALUE_MISSING', 'the record has no value')
  const window = decode(record.value)
  checkProvenance(window, record)
  const top = window.top ?? refuse('FIELD_MISSING', 'top is missing')
  checkLengths(window, top)
  const probabilities = unpackTopK(top)
  checkTokenIds(window, top)
  checkDistributions(window, top, probabilities)
  checkNumbers(window)
  checkSize(record.value, window)
  return { window, top, probabilities, traceparent: headers.traceparent, record, encoded: record.value }
}

function decode(value: Uint8Array): TokenWindow {
  try {
    return TokenWindow.decode(value)
  } catch (cause) {
    throw new PlateauError('UNDECODABLE', `the value is not a TokenWindow: ${messageOf(cause)}`, { cause })
  }
}

function checkProvenance(window: TokenWindow, record: LogRecord): void {
  const { provenance } = window
  if (!provenance) refuse('FIELD_MISSING', 'provenance is missing')
  if (provenance.schemaVersion !== SCHEMA_VERSION) {
    refuse('SCHEMA_UNKNOWN', `schema version ${provenance.schemaVersion}; this scorer knows ${SCHEMA_VERSION}`)
  }
  if (!provenance.targetFingerprint) refuse('FIELD_MISSING', 'provenance.target_fingerprint is empty')
  if (!provenance.tokenizerHash) refuse('FIELD_MISSING', 'provenance.tokenizer_hash is empty')
  if (!window.sampleId) refuse('FIELD_MISSING', 'sample_id is empty')
  // Order and decisions are kept per key: a window under another sample's key would break both.
  if (window.sampleId !== record.key) refuse('KEY_MISMATCH', 'the record key is not the sample id')
}

function checkLengths(window: TokenWindow, top: TopK): void {
  const n = window.tokenIds.length
  if (n === 0) refuse('LENGTH_MISMATCH', 'the window has no positions')
  if (window.vocabSize === 0) refuse('FIELD_MISSING', 'vocab_size is 0')
  if (top.positions !== n) refuse('LENGTH_MISMATCH', `top has ${top.positions} rows for ${n} tokens`)
  if (top.k < 1 || top.k > window.vocabSize) {
    refuse('LENGTH_MISMATCH', `top lists ${top.k} of ${window.vocabSize} tokens`)
  }
  expectLength('top.ids', top.ids.length, n * top.k)
  expectLength('top.probabilities', top.probabilities.length, n * top.k * widthOf(top.format, 'top.format'))
  expectLength('tail_mass', window.tailMass.length, n)
  if (window.sumSquares.length > 0) expectLength('sum_squares', window.sumSquares.length, n)
  expectLength('entropy', window.entropy.length, n)
  expectLength('log_sum_exp', window.logSumExp.length, n)
  expectLength('token_log_prob', window.tokenLogProb.length, n)
  // Together or not at all; draft_overlap alone in windows that were captured before there were the other two.
  if (window.draftOverlap.length > 0) expectLength('draft_overlap', window.draftOverlap.length, n)
  if (window.draftGain.length > 0) expectLength('draft_gain', window.draftGain.length, window.draftOverlap.length)
  expectLength('draft_entropy', window.draftEntropy.length, window.draftGain.length)
  if (window.features.length > 0) {
    const rowBytes = window.featureSize * widthOf(window.featureFormat, 'feature_format')
    expectLength('features', window.features.length, n * rowBytes)
    if (window.hasLead) expectLength('lead_feature', window.leadFeature.length, rowBytes)
  }
}

function checkTokenIds(window: TokenWindow, top: TopK): void {
  const { vocabSize } = window
  for (const id of window.tokenIds) if (id >= vocabSize) refuseId('token_ids', id, vocabSize)
  for (const id of top.ids) if (id >= vocabSize) refuseId('top.ids', id, vocabSize)
  if (window.hasLead && window.leadTokenId >= vocabSize) refuseId('lead_token_id', window.leadTokenId, vocabSize)
}

/** Each row: probabilities that fall, none negative, and with the tail a mass of 1. */
function checkDistributions(window: TokenWindow, top: TopK, probabilities: Float32Array): void {
  const { k } = top
  for (let row = 0; row < top.positions; row++) {
    const tail = window.tailMass[row]!
    if (!(tail >= 0)) refuseNumber('tail_mass', row, tail)
    let mass = tail
    let previous = 1 + MASS_SLACK
    for (let i = row * k; i < (row + 1) * k; i++) {
      const p = probabilities[i]!
      // Written so that NaN fails, too.
      if (!(p >= 0 && p <= previous)) refuseProbability(row, p, previous)
      previous = p
      mass += p
    }
    if (!(Math.abs(mass - 1) <= MASS_SLACK)) {
      refuse('MASS_NOT_ONE', `the listed probabilities and the tail of position ${row} sum to ${mass}`)
    }
  }
}

function checkNumbers(window: TokenWindow): void {
  const most = 1 + MASS_SLACK
  const mostEntropy = Math.log(window.vocabSize) + MASS_SLACK
  // Sum p^2 cannot be below 1/V: that would be flatter than flat.
  const leastSquares = (1 - MASS_SLACK) / window.vocabSize
  expectWithin('sum_squares', window.sumSquares, leastSquares, most)
  expectWithin('entropy', window.entropy, -MASS_SLACK, mostEntropy)
  expectWithin('log_sum_exp', window.logSumExp, -Number.MAX_VALUE, Number.MAX_VALUE)
  expectWithin('token_log_prob', window.tokenLogProb, -Number.MAX_VALUE, MASS_SLACK)
  expectWithinOrUnknown('draft_overlap', window.draftOverlap, 0, most)
  expectWithinOrUnknown('draft_gain', window.draftGain, -MOST_GAIN, MOST_GAIN)
  expectWithinOrUnknown('draft_entropy', window.draftEntropy, -MASS_SLACK, mostEntropy)
}

/** A window that fits its own topic may not fit the next one, with its weights added. */
function checkSize(encoded: Uint8Array, window: TokenWindow): void {
  const bytes = encoded.length + window.tokenIds.length * TRAINING_BYTES_PER_POSITION + TRAINING_OVERHEAD_BYTES
  const most = topics.trainingWindows.maxRecordBytes - Buffer.byteLength(window.sampleId)
  if (bytes > most) refuse('TOO_LARGE', `as a training window it would take ${bytes} bytes of at most ${most}`)
}

function widthOf(format: FloatFormat, field: string): number {
  if (format === FloatFormat.FLOAT_FORMAT_FP16) return 2
  if (format === FloatFormat.FLOAT_FORMAT_FP32) return 4
  return refuse('FORMAT_UNKNOWN', `${field} is ${format}`)
}

function expectLength(field: string, actual: number, expected: number): void {
  if (actual !== expected) refuse('LENGTH_MISMATCH', `${field} has ${actual} entries, expected ${expected}`)
}

function expectWithin(field: string, values: readonly number[], least: number, most: number): void {
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!
    if (!(x >= least && x <= most)) refuseNumber(field, i, x)
  }
}

/** NaN says that no draft proposed here. */
function expectWithinOrUnknown(field: string, values: readonly number[], least: number, most: number): void {
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!
    if (!Number.isNaN(x) && !(x >= least && x <= most)) refuseNumber(field, i, x)
  }
}

function refuseNumber(field: string, index: number, value: number): never {
  return refuse('VALUE_OUT_OF_RANGE', `${field}[${index}] is ${value}`)
}

function refuseProbability(row: number, p: number, previous: number): never {
  return refuse(
    'VALUE_OUT_OF_RANGE',
    p > previous
      ? `the probabilities of position ${row} are not most probable first, or exceed 1`
      : `position ${row} lists a probability of ${p}`,
  )
}

function refuseId(field: string, id: number, vocabSize: number): never {
  return refuse('TOKEN_OUT_OF_RANGE', `${field} holds ${id}, the vocabulary has ${vocabSize} tokens`)
}

function refuse(code: string, sentence: string): never {
  throw new PlateauError(code, sentence)
}
