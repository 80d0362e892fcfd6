import { doubleTensor, floatTensor, toDoubles, toFloats, type Tensor } from '@plateau/model-files'
import { decodeSums, encodeSums } from '@plateau/training'
import type { LearnerState } from '../draft-kind.js'
import type { LiveVocabularyState } from '../live-vocabulary.js'
import { idsOf, idsTensor, optimizerState, optimizerTensors } from '../state-tensors.js'
import type { ClosedFormState } from './closed-form.js'
import type { GradientState } from './gradient-stage.js'

/** What the feature-fed head's learner puts into a snapshot. */
export interface FeatureHeadState {
  /** In the sums, over the lineage's life. */
  readonly closedFormPositions: number
  readonly gradientPositions: number
  /** Logit scale of the newest solution. */
  readonly logitScale: number
  /** Of the newest solution; undefined: all tokens. */
  readonly vocabulary: Int32Array | undefined
  readonly counts: LiveVocabularyState
  readonly closedForm: ClosedFormState
  readonly gradients: GradientState | undefined
}

type Facts = Pick<FeatureHeadState, 'closedFormPositions' | 'gradientPositions' | 'logitScale'> & {
  readonly counts: LiveVocabularyState['facts']
  readonly sinceDecay: number
  /** Of the gradients. */
  readonly steps: number
}

const VOCABULARY = 'draft_vocabulary'
const PARTS = ['projection', 'rest'] as const

export function encodeFeatureHeadState({
  closedForm,
  gradients,
  vocabulary,
  counts,
  ...facts
}: FeatureHeadState): Pick<LearnerState, 'facts' | 'tensors'> {
  const sums = encodeSums(closedForm.sums)
  const tensors = new Map<string, Tensor>(counts.tensors)
  tensors.set('sums', doubleTensor([sums.length / 8], new Float64Array(sums.buffer)))
  if (vocabulary !== undefined) tensors.set(VOCABULARY, idsTensor(vocabulary))
  if (gradients !== undefined) {
    const { training, projection } = gradients
    tensors.set('projection', floatTensor([projection.length], projection))
    for (const part of PARTS) for (const [name, one] of optimizerTensors(part, training[part])) tensors.set(name, one)
  }
  const steps = gradients?.training.projection.steps ?? 0
  const all: Facts = { ...facts, counts: counts.facts, sinceDecay: closedForm.sinceDecay, steps }
  return { facts: all, tensors }
}

/** Throws an Error of any kind when it is not what `encodeFeatureHeadState` gives. */
export function decodeFeatureHeadState({ facts, tensors }: LearnerState): FeatureHeadState {
  const { sinceDecay, steps, counts, ...rest } = facts as Facts
  const sums = toDoubles(tensors.get('sums')!)
  const projection = tensors.get('projection')
  return {
    ...rest,
    counts: { facts: counts, tensors },
    vocabulary: idsOf(tensors.get(VOCABULARY)),
    closedForm: { sums: decodeSums(new Uint8Array(sums.buffer, sums.byteOffset, sums.byteLength)), sinceDecay },
    gradients: projection && {
      projection: toFloats(projection).slice(),
      training: {
        projection: optimizerState('projection', steps, tensors),
        rest: optimizerState('rest', steps, tensors),
      },
    },
  }
}
