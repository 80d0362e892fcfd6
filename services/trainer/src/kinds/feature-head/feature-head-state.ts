import { doubleTensor, floatTensor, toDoubles, toFloats, type Tensor } from '@plateau/model-files'
import { decodeSums, encodeSums, type FeatureHeadTrainingState } from '@plateau/training'
import type { LearnerState } from '../draft-kind.js'
import type { ClosedFormState } from './closed-form.js'
import type { GradientState } from './gradient-stage.js'

/** What the feature-fed head's learner puts into a snapshot. */
export interface FeatureHeadState {
  /** In the sums, over the lineage's life. */
  readonly closedFormPositions: number
  readonly gradientPositions: number
  /** Logit scale of the newest solution. */
  readonly logitScale: number
  readonly closedForm: ClosedFormState
  readonly gradients: GradientState | undefined
}

type Facts = Pick<FeatureHeadState, 'closedFormPositions' | 'gradientPositions' | 'logitScale'> & {
  readonly sinceDecay: number
  readonly steps: readonly (number | null)[]
}

const PARTS = ['projection', 'rest'] as const
const ARRAYS = ['parameters', 'firstMoments', 'secondMoments'] as const

export function encodeFeatureHeadState({
  closedForm,
  gradients,
  ...counts
}: FeatureHeadState): Pick<LearnerState, 'facts' | 'tensors'> {
  const sums = encodeSums(closedForm.sums)
  const tensors = new Map<string, Tensor>([['sums', doubleTensor([sums.length / 8], new Float64Array(sums.buffer))]])
  if (gradients !== undefined) {
    tensors.set('projection', vector(gradients.projection))
    for (const part of PARTS) {
      for (const array of ARRAYS) {
        for (const [name, data] of gradients.training[part][array])
          tensors.set(`${part}/${array}/${name}`, vector(data))
      }
    }
  }
  const steps = PARTS.map((part) => gradients?.training[part].steps ?? null)
  const facts: Facts = { ...counts, sinceDecay: closedForm.sinceDecay, steps }
  return { facts, tensors }
}

function vector(data: Float32Array): Tensor {
  return floatTensor([data.length], data)
}

/** Throws an Error of any kind when it is not what `encodeFeatureHeadState` gives. */
export function decodeFeatureHeadState({ facts, tensors }: LearnerState): FeatureHeadState {
  const { sinceDecay, steps, ...counts } = facts as Facts
  const sums = toDoubles(tensors.get('sums')!)
  const projection = tensors.get('projection')
  return {
    ...counts,
    closedForm: { sums: decodeSums(new Uint8Array(sums.buffer, sums.byteOffset, sums.byteLength)), sinceDecay },
    gradients: projection && {
      projection: toFloats(projection).slice(),
      training: trainingState(tensors, steps),
    },
  }
}

function trainingState(
  tensors: ReadonlyMap<string, Tensor>,
  steps: readonly (number | null)[],
): FeatureHeadTrainingState {
  const state = (part: string, index: number) => {
    const valuesOf = (array: string): Map<string, Float32Array> => {
      const prefix = `${part}/${array}/`
      const named = [...tensors].filter(([name]) => name.startsWith(prefix))
      return new Map(named.map(([name, tensor]) => [name.slice(prefix.length), toFloats(tensor)]))
    }
    return {
      steps: steps[index] ?? 0,
      parameters: valuesOf('parameters'),
      firstMoments: valuesOf('firstMoments'),
      secondMoments: valuesOf('secondMoments'),
    }
  }
  return { projection: state('projection', 0), rest: state('rest', 1) }
}
