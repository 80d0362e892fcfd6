import type { CausalDraftConfig } from './causal-draft.js'
import type { CausalLmConfig } from './config.js'

const MAX_POSITIONS = 2048

/** Of a new draft for `target`: a Llama whose sizes follow from its width. `draftVocabulary` undefined: all tokens. */
export function causalDraftShape(
  target: Pick<CausalLmConfig, 'vocabSize' | 'bosTokenId' | 'eosTokenIds'>,
  draftVocabulary: Int32Array | undefined,
  { hiddenSize, layers }: { readonly hiddenSize: number; readonly layers: number },
): CausalDraftConfig {
  const headDim = Math.min(64, hiddenSize)
  const heads = Math.max(1, Math.floor(hiddenSize / headDim))
  return {
    targetVocabSize: target.vocabSize,
    draftVocabulary,
    model: {
      vocabSize: draftVocabulary === undefined ? target.vocabSize : draftVocabulary.length + 1,
      hiddenSize,
      layers,
      heads,
      kvHeads: heads,
      headDim,
      intermediateSize: 8 * Math.max(1, Math.round(hiddenSize / 3)),
      rmsNormEps: 1e-5,
      ropeTheta: 10_000,
      maxPositions: MAX_POSITIONS,
      tieEmbeddings: true,
      bosTokenId: target.bosTokenId,
      eosTokenIds: target.eosTokenIds,
    },
  }
}
