import { floatTensor, toFloats, type Tensor } from '@plateau/model-files'
import type { LearnerState } from '../draft-kind.js'
import type { GradientTurnsState } from '../gradient-turns.js'
import type { LiveVocabularyState } from '../live-vocabulary.js'
import { idsOf, idsTensor, optimizerState, optimizerTensors } from '../state-tensors.js'
import type { GradientState } from './gradient-stage.js'
import type { StreamedSumsState } from './streamed-sums.js'
import { decodeStreamedSums, encodeStreamedSums, type SumsFacts } from './sums-tensors.js'
import type { WeightLearningState } from './weight-learning.js'

/** What the feature-fed head's learner puts into a snapshot. */
export interface FeatureHeadState {
  /** In the sums, over the lineage's life. */
  readonly closedFormPositions: number
  /** Whose rows the sums of others held that were solved with ours. */
  readonly mergedTenants: readonly string[]
  readonly turns: GradientTurnsState
  /** Which features the sums are of: see featuresOf. */
  readonly features: string
  /** Logit scale of the newest solution. */
  readonly logitScale: number
  /** Of the newest solution; undefined: all tokens. */
  readonly vocabulary: Int32Array | undefined
  readonly counts: LiveVocabularyState
  readonly closedForm: StreamedSumsState
  /** Undefined: weights of bins are not learned. */
  readonly weights: WeightLearningState | undefined
  readonly gradients: GradientState | undefined
}

type PlainFacts = 'closedFormPositions' | 'mergedTenants' | 'features' | 'logitScale'

interface Facts extends SumsFacts, Pick<FeatureHeadState, PlainFacts> {
  readonly turns: GradientTurnsState['facts']
  readonly counts: LiveVocabularyState['facts']
  readonly weights?: Omit<WeightLearningState, 'sums'> & SumsFacts
  /** Of the gradients. */
  readonly steps: number
  readonly isWarm: boolean
}

const SUMS = 'sums/'
const BIN_SUMS = 'bin_sums/'
const VOCABULARY = 'draft_vocabulary'
const PARTS = ['projection', 'rest'] as const

export function encodeFeatureHeadState({
  closedForm,
  weights,
  gradients,
  vocabulary,
  counts,
  turns,
  ...facts
}: FeatureHeadState): Pick<LearnerState, 'facts' | 'tensors'> {
  const sums = encodeStreamedSums(SUMS, closedForm)
  const learning = weights && encodeWeightLearning(weights)
  const parts = [counts, turns, sums, ...(learning === undefined ? [] : [learning])]
  const tensors = new Map<string, Tensor>(parts.flatMap((part) => [...part.tensors]))
  if (vocabulary !== undefined) tensors.set(VOCABULARY, idsTensor(vocabulary))
  if (gradients !== undefined) {
    const { training, projection } = gradients
    tensors.set('projection', floatTensor([projection.length], projection))
    for (const part of PARTS) for (const [name, one] of optimizerTensors(part, training[part])) tensors.set(name, one)
  }
  const steps = gradients?.training.projection.steps ?? 0
  const all: Facts = {
    ...facts,
    ...sums.facts,
    turns: turns.facts,
    counts: counts.facts,
    ...(learning && { weights: learning.facts }),
    steps,
    isWarm: gradients?.isWarm ?? false,
  }
  return { facts: all, tensors }
}

/** Throws an Error of any kind when it is not what `encodeFeatureHeadState` gives. */
export function decodeFeatureHeadState({ facts, tensors }: LearnerState): FeatureHeadState {
  const { bank, sinceAdvance, weights, steps, isWarm, counts, turns, ...rest } = facts as Facts
  const projection = tensors.get('projection')
  return {
    ...rest,
    turns: { facts: turns, tensors },
    counts: { facts: counts, tensors },
    vocabulary: idsOf(tensors.get(VOCABULARY)),
    closedForm: decodeStreamedSums(SUMS, { bank, sinceAdvance }, tensors),
    weights: weights && { ...weights, sums: decodeStreamedSums(BIN_SUMS, weights, tensors) },
    gradients: projection && {
      projection: toFloats(projection).slice(),
      isWarm,
      training: {
        projection: optimizerState('projection', steps, tensors),
        rest: optimizerState('rest', steps, tensors),
      },
    },
  }
}

function encodeWeightLearning({ sums, ...facts }: WeightLearningState) {
  const encoded = encodeStreamedSums(BIN_SUMS, sums)
  return { facts: { ...facts, ...encoded.facts }, tensors: encoded.tensors }
}
