import { describe, expect, it } from 'vitest'
import {
  checkCausalDraft,
  checkCausalDraftConfig,
  draftVocabularyMap,
  initialCausalDraft,
  withDraftVocabulary,
  withLogitScale,
  type CausalDraftConfig,
} from './causal-draft.js'
import { mostFrequentTokens } from './draft-vocabulary.js'
import { referenceForward } from './reference-forward.js'

const model = {
  vocabSize: 4,
  hiddenSize: 6,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 2,
  intermediateSize: 5,
  rmsNormEps: 1e-5,
  ropeTheta: 100,
  maxPositions: 32,
  tieEmbeddings: true,
  bosTokenId: undefined,
  eosTokenIds: [],
}
const config: CausalDraftConfig = { model, targetVocabSize: 9, draftVocabulary: Int32Array.of(1, 4, 8) }
let seed = 0
const random = () => (seed = (seed * 16807 + 11) % 2147483647) / 2147483647

describe('a reduced vocabulary', () => {
  it('reads tokens it does not have as the unknown, which stands for no token', () => {
    const { rowOf, tokenOf, unknown } = draftVocabularyMap(config)
    expect([...rowOf]).toEqual([3, 0, 3, 3, 1, 3, 3, 3, 2])
    expect([...tokenOf]).toEqual([1, 4, 8, -1])
    expect(unknown).toBe(3)
  })

  it('is the identity where the draft has every token', () => {
    const whole = { ...config, draftVocabulary: undefined, targetVocabSize: 4 }
    expect(draftVocabularyMap(whole)).toEqual({
      rowOf: Int32Array.of(0, 1, 2, 3),
      tokenOf: Int32Array.of(0, 1, 2, 3),
      unknown: -1,
    })
  })

  it('holds the tokens of the largest mass in the order of their ids, the lowest ids of equals', () => {
    expect([...mostFrequentTokens([0.5, 3, 0.5, 0, 9, 0.5], 4)]).toEqual([0, 1, 2, 4])
  })

  it.each([
    ['an id twice', { draftVocabulary: Int32Array.of(1, 4, 4) }, /id 4 after 4/],
    ['an id beyond the target', { draftVocabulary: Int32Array.of(1, 4, 9) }, /id 9/],
    ['ids out of order', { draftVocabulary: Int32Array.of(4, 1, 8) }, /id 1 after 4/],
    ['a row too few', { draftVocabulary: Int32Array.of(1, 4, 7, 8) }, /needs 5/],
    ['no map but other sizes', { draftVocabulary: undefined }, /no map/],
  ])('with %s is refused', (_, change, message) => {
    expect(() => checkCausalDraftConfig({ ...config, ...change })).toThrow(message)
  })

  it('can change: tokens that stay keep their logits, a new one begins as the unknown', () => {
    for (const tieEmbeddings of [true, false]) {
      const draft = initialCausalDraft({ ...config, model: { ...model, tieEmbeddings } }, random)
      const changed = withDraftVocabulary(draft, Int32Array.of(2, 4, 5, 8))
      checkCausalDraft(changed)
      // Tokens 4, 2, 8 of the target: known, unknown, known; and after the change all known.
      const [before] = referenceForward(draft.config.model, draft.parameters, [1, 3, 2]).logits.slice(-1)
      const [after] = referenceForward(changed.config.model, changed.parameters, [1, 0, 3]).logits.slice(-1)
      const rows = [3, 1, 3, 2, 3] // 2, 4, 5, 8, the unknown, as the rows of before
      expect(Array.from(after!)).toEqual(rows.map((row) => before![row]!))
    }
  })
})

it('a logit scale multiplies every logit', () => {
  const draft = initialCausalDraft(config, random)
  const scaled = withLogitScale(draft, 1.5)
  const [plain] = referenceForward(model, draft.parameters, [1, 3]).logits.slice(-1)
  const [changed] = referenceForward(model, scaled.parameters, [1, 3]).logits.slice(-1)
  changed!.forEach((logit, row) => expect(logit).toBeCloseTo(1.5 * plain![row]!, 6))
})

it('a draft with a parameter missing, misshapen, foreign or not finite is refused by name', () => {
  const draft = initialCausalDraft(config, random)
  const parameters = (change: (map: Map<string, { shape: readonly number[]; data: Float32Array }>) => void) => {
    const changed = new Map(draft.parameters)
    change(changed)
    return () => checkCausalDraft({ config, parameters: changed })
  }
  const norm = 'model.norm.weight'
  const data = new Float32Array(6)
  expect(parameters(() => {})).not.toThrow()
  expect(parameters((map) => map.delete(norm))).toThrow(/lacks the parameter model.norm/)
  expect(parameters((map) => map.set(norm, { shape: [3, 2], data }))).toThrow(/model.norm.weight has shape \[3,2\]/)
  expect(parameters((map) => map.set('lm_head.weight', { shape: [6], data }))).toThrow(/lm_head.weight is not/)
  expect(parameters((map) => map.set(norm, { shape: [6], data: data.map(() => Number.NaN) }))).toThrow(/not finite/)
})
