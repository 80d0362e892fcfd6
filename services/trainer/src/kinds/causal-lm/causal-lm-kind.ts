import {
  causalDraftKind as name,
  causalDraftShape,
  initialCausalDraft,
  type CausalDraft,
  type CausalDraftConfig,
} from '@plateau/causal-lm'
import { decodeCausalDraft, encodeCausalDraft, type FloatDtype, type ModelDescription } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import type { DraftKind } from '../draft-kind.js'
import { positionBytes } from '../memory.js'
import { LEARNED_FROM_NOBODY } from '../learned-from.js'
import { asWarmStart, type WarmStart } from '../warm-start.js'
import { CausalLmLearner, type CausalLmLearnerOptions } from './causal-lm-learner.js'

export interface CausalLmKindOptions extends CausalLmLearnerOptions {
  /** Of a new lineage's draft. */
  readonly causalLmHiddenSize: number
  readonly causalLmLayers: number
  /** Of a new lineage's draft: how many of the target's tokens it proposes from; 0 = all. */
  readonly draftVocabulary: number
  /** Of the weights of versions. */
  readonly checkpointDtype: FloatDtype
  /** What a new lineage begins with instead of an untrained draft. */
  readonly warm?: WarmStart | undefined
}

/** Of an untrained first version. */
const SEED = 1

/** A small Llama-style decoder that reads tokens only and is trained from windows by gradients alone. */
export function causalLmKind(options: CausalLmKindOptions, target: ModelDescription): DraftKind<CausalDraft> {
  const { fingerprint: targetFingerprint, tokenizerHash, config } = target
  const { vocabSize } = config
  const warm = options.warm && warmDraft(options.warm, vocabSize)
  return {
    name,
    expected: { targetFingerprint, tokenizerHash, vocabSize, norm: undefined },
    initial: () => warm ?? initialCausalDraft(draftConfig(options, target), seededRandom(SEED)),
    initialFrom: options.warm?.learnedFrom ?? LEARNED_FROM_NOBODY,
    encode: (draft) => encodeCausalDraft(draft, options.checkpointDtype),
    decode: decodeCausalDraft,
    positionBytes: positionBytes(0),
    costOf: () => 0,
    open: (start) => CausalLmLearner.open(options, start),
  }
}

/** Throws WARM_START_INVALID. */
function warmDraft({ directory, files }: WarmStart, vocabSize: number): CausalDraft {
  return asWarmStart(directory, () => {
    const draft = decodeCausalDraft(files, directory)
    const { targetVocabSize: found } = draft.config
    if (found === vocabSize) return draft
    throw new RangeError(`is for a target of ${found} tokens, this one has ${vocabSize}`)
  })
}

/** Until the traffic is known the first tokens stand for the frequent ones: tokenizers learn those first. */
function draftConfig(options: CausalLmKindOptions, { config: target }: ModelDescription): CausalDraftConfig {
  const { causalLmHiddenSize: hiddenSize, causalLmLayers: layers, draftVocabulary: n } = options
  const isReduced = n > 0 && n < target.vocabSize
  const vocabulary = isReduced ? Int32Array.from({ length: n }, (_, id) => id) : undefined
  return causalDraftShape(target, vocabulary, { hiddenSize, layers })
}
