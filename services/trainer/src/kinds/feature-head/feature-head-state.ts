import { doubleTensor, floatTensor, toDoubles, toFloats, type Tensor } from '@plateau/model-files'
import { decodeSums, encodeSums, type RidgeSums, type SumBankState, type SumKey } from '@plateau/training'
import type { LearnerState } from '../draft-kind.js'
import type { GradientTurnsState } from '../gradient-turns.js'
import type { LiveVocabularyState } from '../live-vocabulary.js'
import { idsOf, idsTensor, optimizerState, optimizerTensors } from '../state-tensors.js'
import type { ClosedFormState } from './closed-form.js'
import type { GradientState } from './gradient-stage.js'

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
  readonly closedForm: ClosedFormState
  readonly gradients: GradientState | undefined
}

type Facts = Pick<FeatureHeadState, 'closedFormPositions' | 'mergedTenants' | 'turns' | 'features' | 'logitScale'> & {
  readonly counts: LiveVocabularyState['facts']
  readonly bank: Pick<SumBankState, 'options' | 'positions'> & { readonly keys: readonly SumKey[] }
  readonly sinceAdvance: number
  /** Of the gradients. */
  readonly steps: number
  readonly isWarm: boolean
}

const SUMS = 'sums/'
const VOCABULARY = 'draft_vocabulary'
const PARTS = ['projection', 'rest'] as const

export function encodeFeatureHeadState({
  closedForm,
  gradients,
  vocabulary,
  counts,
  ...facts
}: FeatureHeadState): Pick<LearnerState, 'facts' | 'tensors'> {
  const { cells, ...bank } = closedForm.bank
  const tensors = new Map<string, Tensor>(counts.tensors)
  cells.forEach(({ sums }, i) => tensors.set(`${SUMS}${i}`, sumsTensor(sums)))
  if (vocabulary !== undefined) tensors.set(VOCABULARY, idsTensor(vocabulary))
  if (gradients !== undefined) {
    const { training, projection } = gradients
    tensors.set('projection', floatTensor([projection.length], projection))
    for (const part of PARTS) for (const [name, one] of optimizerTensors(part, training[part])) tensors.set(name, one)
  }
  const steps = gradients?.training.projection.steps ?? 0
  const all: Facts = {
    ...facts,
    counts: counts.facts,
    bank: { ...bank, keys: cells.map(({ key }) => key) },
    sinceAdvance: closedForm.sinceAdvance,
    steps,
    isWarm: gradients?.isWarm ?? false,
  }
  return { facts: all, tensors }
}

/** Throws an Error of any kind when it is not what `encodeFeatureHeadState` gives. */
export function decodeFeatureHeadState({ facts, tensors }: LearnerState): FeatureHeadState {
  const { bank, sinceAdvance, steps, isWarm, counts, ...rest } = facts as Facts
  const { keys, ...options } = bank
  const cells = keys.map((key, i) => ({ key, sums: sumsOf(tensors.get(`${SUMS}${i}`)!) }))
  const projection = tensors.get('projection')
  return {
    ...rest,
    counts: { facts: counts, tensors },
    vocabulary: idsOf(tensors.get(VOCABULARY)),
    closedForm: { bank: { ...options, cells }, sinceAdvance },
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

function sumsTensor(sums: RidgeSums): Tensor {
  const bytes = encodeSums(sums)
  return doubleTensor([bytes.length / 8], new Float64Array(bytes.buffer))
}

function sumsOf(tensor: Tensor): RidgeSums {
  const doubles = toDoubles(tensor)
  return decodeSums(new Uint8Array(doubles.buffer, doubles.byteOffset, doubles.byteLength))
}
