import { initialFeatureHead, withParameters, type FeatureHeadConfig } from '@plateau/causal-lm'
import { FloatFormat, packFloats, packTopK, TokenWindow } from '@plateau/contracts'
import { seededRandom } from '@plateau/speculation'
import { describe, expect, test } from 'vitest'
import { windowRows } from './draft-windows.js'
import { alphaByWindow, evaluateDraft } from './evaluate-draft.js'

const H = 4
const V = 9
const norm = Float32Array.of(1, 0.5, 2, 1)
const expected = { targetFingerprint: 'target', tokenizerHash: 'tokens', vocabSize: V, norm }
const fp32 = FloatFormat.FLOAT_FORMAT_FP32

/** The output of the final norm: every row of it has scale 1 before the weight. */
const state = (sign: number) => Array.from(norm, (w, i) => w * (i % 2 ? sign : 1))
const window = (changes: Partial<TokenWindow> = {}): TokenWindow =>
  TokenWindow.fromPartial({
    provenance: { schemaVersion: 1, targetFingerprint: 'target', tokenizerHash: 'tokens', draftVersion: '' },
    sampleId: 's',
    vocabSize: V,
    tokenIds: [3, 4, 5],
    top: packTopK([1, 2, 3, 4, 5, 6], [0.5, 0.25, 0.5, 0.125, 0.75, 0.125], 2, fp32),
    tailMass: [0.25, 0.375, 0.125],
    features: packFloats([...state(1), ...state(-1), ...state(1)], fp32),
    featureSize: H,
    featureFormat: fp32,
    hasLead: true,
    leadTokenId: 7,
    leadFeature: packFloats(state(-1), fp32),
    ...changes,
  })

describe('the rows of a window', () => {
  test('pair every position with the token and state before it, the lead before the first', () => {
    const rows = windowRows(window(), expected, [1, 2, 3])
    expect(rows.length).toBe(3)
    expect([...rows.tokens]).toEqual([7, 3, 4])
    expect([...rows.features]).toEqual([...state(-1), ...state(1), ...state(-1)])
    expect([...rows.nextFeatures]).toEqual([...state(1), ...state(-1), ...state(1)])
    expect([...rows.listedIds]).toEqual([1, 2, 3, 4, 5, 6])
    expect([...rows.listedProbs]).toEqual([0.5, 0.25, 0.5, 0.125, 0.75, 0.125])
    expect([...rows.weights]).toEqual([1, 2, 3])
  })

  test('without a lead begin at the second position', () => {
    const rows = windowRows(window({ hasLead: false, leadFeature: Buffer.alloc(0) }), expected, [1, 2, 3])
    expect(rows.length).toBe(2)
    expect([...rows.tokens]).toEqual([3, 4])
    expect([...rows.features]).toEqual([...state(1), ...state(-1)])
    expect([...rows.listedIds]).toEqual([3, 4, 5, 6])
    expect([...rows.weights]).toEqual([2, 3])
  })

  test('of a draft that reads tokens only have no states, whether the window has them or not', () => {
    const { features: _features, nextFeatures: _nextFeatures, ...tokens } = windowRows(window(), expected)
    const tokensOnly = { ...expected, norm: undefined }
    const none = { features: new Float32Array(0), nextFeatures: new Float32Array(0) }
    const bare = window({ features: Buffer.alloc(0), featureSize: 0, leadFeature: Buffer.alloc(0) })
    expect(windowRows(window(), tokensOnly)).toEqual({ ...tokens, ...none })
    expect(windowRows(bare, tokensOnly)).toEqual({ ...tokens, ...none })
  })

  test('of one position without a lead are none', () => {
    const short = {
      tokenIds: [3],
      top: packTopK([1, 2], [0.5, 0.25], 2, fp32),
      features: packFloats(state(1), fp32),
      hasLead: false,
    }
    expect(windowRows(window(short), expected).length).toBe(0)
  })
})

const provenance = (changes: object) =>
  window({
    provenance: {
      schemaVersion: 1,
      targetFingerprint: 'target',
      tokenizerHash: 'tokens',
      draftVersion: '',
      ...changes,
    },
  })

test.each([
  ['another target', provenance({ targetFingerprint: 'other' }), 'WINDOW_TARGET_MISMATCH', /other/],
  ['another tokenizer', provenance({ tokenizerHash: 'other' }), 'WINDOW_TOKENIZER_MISMATCH', /other/],
  ['another schema', provenance({ schemaVersion: 2 }), 'WINDOW_INVALID', /schema_version/],
  ['no features', window({ features: Buffer.alloc(0) }), 'WINDOW_WITHOUT_FEATURES', /no features/],
  ['a feature too few', window({ features: Buffer.alloc(44) }), 'WINDOW_INVALID', /features/],
  ['features of another width', window({ featureSize: 3 }), 'WINDOW_INVALID', /feature_size/],
  [
    'a feature that is not finite',
    window({ leadFeature: packFloats([1, NaN, 1, 1], fp32) }),
    'WINDOW_INVALID',
    /lead_feature/,
  ],
  [
    'made-up features',
    window({
      features: packFloats(
        Array.from({ length: 12 }, (_, i) => i),
        fp32,
      ),
    }),
    'WINDOW_INVALID',
    /scale/,
  ],
  ['a token outside the vocabulary', window({ tokenIds: [3, 4, 9] }), 'WINDOW_INVALID', /token_ids/],
  ['a lead outside the vocabulary', window({ leadTokenId: 9 }), 'WINDOW_INVALID', /lead_token_id/],
  ['another vocabulary', window({ vocabSize: 10 }), 'WINDOW_INVALID', /vocab_size/],
  ['no distributions', window({ top: undefined }), 'WINDOW_INVALID', /top/],
  [
    'a token listed twice',
    window({ top: packTopK([1, 1, 3, 4, 5, 6], [0.25, 0.25, 0.25, 0.25, 0.25, 0.25], 2, fp32) }),
    'WINDOW_INVALID',
    /twice/,
  ],
  [
    'probabilities above one',
    window({ top: packTopK([1, 2, 3, 4, 5, 6], [0.75, 0.75, 0.75, 0.75, 0.75, 0.75], 2, fp32) }),
    'WINDOW_INVALID',
    /sums to/,
  ],
  ['no position', window({ tokenIds: [] }), 'WINDOW_INVALID', /token_ids/],
] as const)('a window with %s is refused', (_, bad, code, message) => {
  expect(() => windowRows(bad, expected)).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) }),
  )
})

test.each([[[1, 2]], [[1, Number.NaN, 1]], [[1, -1, 1]]])('weights %j are refused', (weights) => {
  expect(() => windowRows(window(), expected, weights)).toThrow(/weights/)
})

test('a draft is scored straight from recorded windows', async () => {
  const config: FeatureHeadConfig = {
    hiddenSize: H,
    vocabSize: V,
    bilinearFeatures: 0,
    rmsNormEps: 1e-5,
    layer: undefined,
  }
  const random = seededRandom(3)
  const table = Float32Array.from({ length: V * H }, () => random() - 0.5)
  const target = { embeddings: table, head: table, norm }
  // Nothing projected, so every logit is 0 and q uniform.
  const head = withParameters(initialFeatureHead(config, target, random), { 'fc.weight': new Float32Array(2 * H * H) })
  const model = { target, fingerprint: 'target', tokenizerHash: 'tokens' }
  const windows = [window(), window({ hasLead: false })]
  const { positions, alpha } = await evaluateDraft(head, model, windows)
  expect(positions).toBe(5)
  expect(alpha).toBeCloseTo(2 / 9, 6)
  const byWindow = await alphaByWindow(head, model, windows)
  expect(byWindow.map(({ length }) => length)).toEqual([3, 2])
  expect(byWindow.reduce((sum, alphas) => sum + alphas.reduce((a, b) => a + b), 0) / positions).toBeCloseTo(alpha, 12)
})
