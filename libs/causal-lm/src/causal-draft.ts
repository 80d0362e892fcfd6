/**
 * A causal language model as a draft: a small Llama-style decoder that reads tokens only, over all of the target's
 * vocabulary or the part of it that traffic uses.
 *
 * With a reduced vocabulary of n tokens the model has n + 1 rows: row i < n is the target's token draftVocabulary[i], row n
 * is the *unknown*. Every other token is read as the unknown, and the unknown's probability is what the draft gives to
 * "a token that I cannot say". It is a row that learns like any other, so that a draft needs nothing of its target; and
 * where it is the most probable the draft knows that it has no opinion.
 */
import { checkParameters } from './check-parameters.js'
import { parameterShapes, type CausalLmConfig, type Parameters } from './config.js'
import { checkTokenIds } from './draft-vocabulary.js'
import { initialParameters } from './initial-parameters.js'

export interface CausalDraftConfig {
  /** The decoder itself; vocabSize = n + 1 with a reduced vocabulary, else the target's. */
  readonly model: CausalLmConfig
  readonly targetVocabSize: number
  /** Target ids, ascending; undefined: all of them. */
  readonly draftVocabulary: Int32Array | undefined
}

export interface CausalDraft {
  readonly config: CausalDraftConfig
  /** Under Hugging Face's names, as parameterShapes(config.model) lists them. */
  readonly parameters: Parameters
}

export const causalDraftKind = 'causal-lm'

/** Both directions between the target's ids and the model's rows. */
export interface DraftVocabularyMap {
  /** [targetVocabSize]: the row a token is read as. */
  readonly rowOf: Int32Array
  /** [model.vocabSize]: the token a row stands for; -1 for the unknown. */
  readonly tokenOf: Int32Array
  /** The unknown's row; -1 where every token has its own. */
  readonly unknown: number
}

export function draftVocabularyMap({ targetVocabSize, draftVocabulary }: CausalDraftConfig): DraftVocabularyMap {
  if (draftVocabulary === undefined) {
    const all = Int32Array.from({ length: targetVocabSize }, (_, id) => id)
    return { rowOf: all, tokenOf: all, unknown: -1 }
  }
  const unknown = draftVocabulary.length
  const rowOf = new Int32Array(targetVocabSize).fill(unknown)
  draftVocabulary.forEach((token, row) => (rowOf[token] = row))
  const tokenOf = new Int32Array(unknown + 1).fill(-1)
  tokenOf.set(draftVocabulary)
  return { rowOf, tokenOf, unknown }
}

/** A draft that has learned nothing. `random` is uniform in [0, 1). */
export function initialCausalDraft(config: CausalDraftConfig, random: () => number): CausalDraft {
  checkCausalDraftConfig(config)
  return { config, parameters: initialParameters(config.model, random) }
}

/**
 * The same draft with other tokens in its vocabulary: what it knows of tokens that stay is kept, a new token begins as
 * the unknown, which is how it was read until now.
 */
export function withDraftVocabulary(draft: CausalDraft, draftVocabulary: Int32Array): CausalDraft {
  const before = draftVocabularyMap(draft.config)
  if (before.unknown < 0) throw new RangeError('a draft over the whole vocabulary has no vocabulary to change')
  const config = {
    ...draft.config,
    draftVocabulary,
    model: { ...draft.config.model, vocabSize: draftVocabulary.length + 1 },
  }
  checkCausalDraftConfig(config)
  const rows = [...Array.from(draftVocabulary, (token) => before.rowOf[token]!), before.unknown]
  const width = config.model.hiddenSize
  const parameters = new Map(draft.parameters)
  for (const name of vocabularyParameters(config.model)) {
    const { data } = draft.parameters.get(name)!
    const moved = new Float32Array(rows.length * width)
    rows.forEach((row, i) => moved.set(data.subarray(row * width, (row + 1) * width), i * width))
    parameters.set(name, { shape: [rows.length, width], data: moved })
  }
  return { config, parameters }
}

/** The same draft with its logits multiplied by `scale`: the final norm's weight takes it, so every reader agrees. */
export function withLogitScale(draft: CausalDraft, scale: number): CausalDraft {
  const name = 'model.norm.weight'
  const { shape, data } = draft.parameters.get(name)!
  const scaled = { shape, data: data.map((value) => value * scale) }
  return { config: draft.config, parameters: new Map([...draft.parameters, [name, scaled]]) }
}

/** Throws RangeError saying what does not fit together. */
export function checkCausalDraftConfig({ model, targetVocabSize, draftVocabulary }: CausalDraftConfig): void {
  if (draftVocabulary === undefined) {
    if (model.vocabSize === targetVocabSize) return
    throw new RangeError(`the draft has ${model.vocabSize} rows for a target of ${targetVocabSize} tokens and no map`)
  }
  const n = draftVocabulary.length
  if (n < 1 || model.vocabSize !== n + 1) {
    throw new RangeError(`the draft has ${model.vocabSize} rows, its vocabulary of ${n} tokens needs ${n + 1}`)
  }
  checkTokenIds(draftVocabulary, targetVocabSize)
}

/** Throws RangeError naming what is missing, misshapen, unknown or not finite. */
export function checkCausalDraft({ config, parameters }: CausalDraft): void {
  checkCausalDraftConfig(config)
  checkParameters('draft', parameters, parameterShapes(config.model))
}

function vocabularyParameters({ tieEmbeddings }: CausalLmConfig): string[] {
  return ['model.embed_tokens.weight', ...(tieEmbeddings ? [] : ['lm_head.weight'])]
}
