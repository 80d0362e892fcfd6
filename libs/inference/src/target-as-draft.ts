import type { CausalLmConfig, Parameters, WeightFormat } from '@plateau/causal-lm'
import { CausalLmDraft } from './causal-lm-draft.js'

/**
 * A target as its own draft: same weights in the given format (default f32), whole vocabulary, every token listed. A target
 * that computes in the same format accepts whatever it proposes, but for the rounding of a step's shape: a test of
 * everything between the two, not a way to speed anything up. A round's message grows with the vocabulary (8 bytes a token
 * and position).
 */
export function targetAsDraft(
  target: { readonly config: CausalLmConfig; readonly parameters: Parameters },
  options: { readonly version: string; readonly maxProposal?: number; readonly weightFormat?: WeightFormat },
): Promise<CausalLmDraft> {
  const { config, parameters } = target
  const { vocabSize } = config
  const draft = { config: { model: config, targetVocabSize: vocabSize, draftVocabulary: undefined }, parameters }
  return CausalLmDraft.load(draft, { weightFormat: 'f32', ...options, listedTokens: vocabSize })
}
