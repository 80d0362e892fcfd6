import { initialCausalDraft, type CausalDraft, type CausalDraftConfig } from '@plateau/causal-lm'

const model = {
  vocabSize: 12,
  hiddenSize: 16,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  intermediateSize: 20,
  rmsNormEps: 1e-5,
  ropeTheta: 500,
  maxPositions: 32,
  bosTokenId: undefined,
  eosTokenIds: [],
}
const reduced = { targetVocabSize: 40, draftVocabulary: Int32Array.from({ length: 11 }, (_, row) => 3 * row + 2) }
const whole = { targetVocabSize: 12, draftVocabulary: undefined }

/** The drafts whose logits testing/causal-draft-golden.json holds. */
export const goldenDrafts: readonly CausalDraft[] = [
  goldenDraft({ model: { ...model, tieEmbeddings: true }, ...reduced }, 1),
  goldenDraft({ model: { ...model, tieEmbeddings: false }, ...whole }, 2),
]

/** What they read, as rows. */
export const goldenRows = [3, 11, 0, 7, 7, 2, 9, 10, 1]

/** Weights so large that every part of the arithmetic shows in the logits. */
function goldenDraft(config: CausalDraftConfig, seed: number): CausalDraft {
  let state = seed
  const random = (): number => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
  const draft = initialCausalDraft(config, random)
  for (const { shape, data } of draft.parameters.values()) {
    data.forEach((value, i) => (data[i] = shape.length === 1 ? 0.5 + random() : 15 * value))
  }
  return draft
}
