import { PlateauError, type FloatFormat, type TokenWindow } from '@plateau/contracts'
import type { LogRecord } from '@plateau/event-log'
import { describe, expect, it } from 'vitest'
import { acceptWindow } from './accept-window.js'
import { delivered, recordOf, VOCAB, windowOf } from './testing.js'

/** The code it is refused with, or 'accepted'. */
function verdictOn(record: LogRecord): string {
  try {
    acceptWindow(record)
    return 'accepted'
  } catch (error) {
    if (error instanceof PlateauError) return error.code
    throw error
  }
}

function after(change: (window: TokenWindow) => unknown): string {
  const window = windowOf('s')
  change(window)
  return verdictOn({ ...delivered(recordOf(window)), key: 's' })
}

const record = delivered(recordOf(windowOf('s')))

/** With all that is known of a draft, where it proposed; the last position as given. */
function drafted(window: TokenWindow, gain = -0.01, entropy = 2): void {
  window.draftOverlap = [Number.NaN, 0.5, 1]
  window.draftGain = [Number.NaN, 0.1, gain]
  window.draftEntropy = [Number.NaN, 1, entropy]
}

/** Sets one fp16 number of the listed probabilities. */
function setHalf(window: TokenWindow, index: number, bits: number): void {
  window.top!.probabilities.writeUInt16LE(bits, index * 2)
}

describe('a window is accepted', () => {
  it('as target-model writes it', () => expect(verdictOn(record)).toBe('accepted'))
  it('without exact sums of squares, draft overlap or features', () => {
    const verdict = after((w) => {
      w.sumSquares = []
      w.features = Buffer.alloc(0)
      w.leadFeature = Buffer.alloc(0)
      w.draftOverlap = []
    })
    expect(verdict).toBe('accepted')
  })
  it('with NaN where no draft proposed', () => {
    expect(after((w) => (w.draftOverlap = [Number.NaN, 0.5, 1]))).toBe('accepted')
    expect(after((w) => drafted(w))).toBe('accepted')
  })
})

describe('a record is refused', () => {
  it.each<[string, LogRecord, string]>([
    ['without headers', { ...record, headers: {} }, 'HEADERS_MISSING'],
    ['without one header', { ...record, headers: { ...record.headers, ce_id: '' } }, 'HEADERS_MISSING'],
    [
      'of another type',
      { ...record, headers: { ...record.headers, 'x-proto-message': 'x.Y' } },
      'MESSAGE_TYPE_UNEXPECTED',
    ],
    ['without a value', { ...record, value: null }, 'VALUE_MISSING'],
    ['cut short', { ...record, value: record.value!.subarray(0, 80) }, 'UNDECODABLE'],
    ['of random bytes', { ...record, value: Buffer.from('not protobuf at all') }, 'UNDECODABLE'],
    ['that is empty', { ...record, value: Buffer.alloc(0) }, 'FIELD_MISSING'],
    ['under another key', { ...record, key: 'other' }, 'KEY_MISMATCH'],
  ])('%s', (_, bad, code) => expect(verdictOn(bad)).toBe(code))

  it.each<[string, (w: TokenWindow) => unknown, string]>([
    ['of an unknown schema', (w) => (w.provenance!.schemaVersion = 2), 'SCHEMA_UNKNOWN'],
    ['without provenance', (w) => (w.provenance = undefined), 'FIELD_MISSING'],
    ['without a target', (w) => (w.provenance!.targetFingerprint = ''), 'FIELD_MISSING'],
    ['without a tokenizer', (w) => (w.provenance!.tokenizerHash = ''), 'FIELD_MISSING'],
    ['without a sample', (w) => (w.sampleId = ''), 'FIELD_MISSING'],
    ['without distributions', (w) => (w.top = undefined), 'FIELD_MISSING'],
    ['without a vocabulary', (w) => (w.vocabSize = 0), 'FIELD_MISSING'],
    ['without positions', (w) => (w.tokenIds = []), 'LENGTH_MISMATCH'],
    ['with fewer tokens than rows', (w) => w.tokenIds.pop(), 'LENGTH_MISMATCH'],
    ['with an id missing', (w) => w.top!.ids.pop(), 'LENGTH_MISMATCH'],
    ['with k = 0', (w) => (w.top!.k = 0), 'LENGTH_MISMATCH'],
    ['with half a probability', (w) => (w.top!.probabilities = Buffer.alloc(23)), 'LENGTH_MISMATCH'],
    ['in an unknown number format', (w) => (w.top!.format = 9 as FloatFormat), 'FORMAT_UNKNOWN'],
    ['with a tail missing', (w) => w.tailMass.pop(), 'LENGTH_MISMATCH'],
    ['with a sum of squares missing', (w) => w.sumSquares.pop(), 'LENGTH_MISMATCH'],
    ['with an entropy missing', (w) => w.entropy.pop(), 'LENGTH_MISMATCH'],
    ['with a log sum missing', (w) => w.logSumExp.pop(), 'LENGTH_MISMATCH'],
    ['with a log probability missing', (w) => w.tokenLogProb.pop(), 'LENGTH_MISMATCH'],
    ['with one overlap', (w) => (w.draftOverlap = [0.5]), 'LENGTH_MISMATCH'],
    ['with features cut short', (w) => (w.features = Buffer.alloc(40)), 'LENGTH_MISMATCH'],
    ['with a lead feature missing', (w) => (w.leadFeature = Buffer.alloc(0)), 'LENGTH_MISMATCH'],
    ['with a token outside the vocabulary', (w) => (w.tokenIds[0] = VOCAB), 'TOKEN_OUT_OF_RANGE'],
    ['with a listed id outside the vocabulary', (w) => (w.top!.ids[5] = VOCAB), 'TOKEN_OUT_OF_RANGE'],
    ['with a lead outside the vocabulary', (w) => (w.leadTokenId = VOCAB), 'TOKEN_OUT_OF_RANGE'],
    ['with a NaN probability', (w) => setHalf(w, 1, 0x7e00), 'VALUE_OUT_OF_RANGE'],
    ['with a negative probability', (w) => setHalf(w, 3, 0xb000), 'VALUE_OUT_OF_RANGE'],
    ['with an infinite probability', (w) => setHalf(w, 0, 0x7c00), 'VALUE_OUT_OF_RANGE'],
    ['with rows out of order', (w) => setHalf(w, 3, 0x3800), 'VALUE_OUT_OF_RANGE'],
    ['with more than all the mass', (w) => setHalf(w, 0, 0x3a00), 'MASS_NOT_ONE'],
    ['with mass missing', (w) => (w.tailMass[1] = 0), 'MASS_NOT_ONE'],
    ['with a NaN tail', (w) => (w.tailMass[1] = Number.NaN), 'VALUE_OUT_OF_RANGE'],
    ['with a negative tail', (w) => (w.tailMass[1] = -0.01), 'VALUE_OUT_OF_RANGE'],
    ['with a sum of squares above 1', (w) => (w.sumSquares[0] = 1.1), 'VALUE_OUT_OF_RANGE'],
    ['flatter than flat', (w) => (w.sumSquares[0] = 0.9 / VOCAB), 'VALUE_OUT_OF_RANGE'],
    ['with more entropy than log V', (w) => (w.entropy[0] = Math.log(VOCAB) + 0.1), 'VALUE_OUT_OF_RANGE'],
    ['with an infinite log sum', (w) => (w.logSumExp[0] = Number.POSITIVE_INFINITY), 'VALUE_OUT_OF_RANGE'],
    ['with a positive log probability', (w) => (w.tokenLogProb[0] = 0.1), 'VALUE_OUT_OF_RANGE'],
    ['with an overlap above 1', (w) => (w.draftOverlap = [1.1, 0, 0]), 'VALUE_OUT_OF_RANGE'],
    ['with one gain', (w) => (drafted(w), (w.draftGain = [0.1])), 'LENGTH_MISMATCH'],
    ['with gains but no overlap', (w) => (drafted(w), (w.draftOverlap = [])), 'LENGTH_MISMATCH'],
    ["with gains but no draft's entropy", (w) => (drafted(w), (w.draftEntropy = [])), 'LENGTH_MISMATCH'],
    ["with a draft's entropy missing", (w) => (drafted(w), w.draftEntropy.pop()), 'LENGTH_MISMATCH'],
    ['with a gain that cannot be', (w) => drafted(w, 1.1), 'VALUE_OUT_OF_RANGE'],
    ['with an infinite gain', (w) => drafted(w, Number.NEGATIVE_INFINITY), 'VALUE_OUT_OF_RANGE'],
    ["with a draft's entropy below 0", (w) => drafted(w, 0, -1), 'VALUE_OUT_OF_RANGE'],
    ["with a draft's entropy above log V", (w) => drafted(w, 0, Math.log(VOCAB) + 0.1), 'VALUE_OUT_OF_RANGE'],
    ['too large for the next topic', (w) => (w.tenant = 'x'.repeat(1024 * 1024 - 400)), 'TOO_LARGE'],
  ])('%s', (_, change, code) => expect(after(change)).toBe(code))
})
