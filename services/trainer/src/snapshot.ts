import { PlateauError } from '@plateau/contracts'
import type { PartitionOffset } from '@plateau/event-log'
import {
  decodeSafetensors,
  doubleTensor,
  encodeSafetensors,
  floatTensor,
  toDoubles,
  toFloats,
  type Tensor,
} from '@plateau/model-files'
import { decodeSums, encodeSums, type FeatureHeadTrainingState } from '@plateau/training'
import type { ClosedFormState } from './closed-form.js'
import type { ReplayedPlace } from './gradient-stage.js'
import type { RecordPlace } from './training-record.js'

/** Counts over the lineage's life: every window and position once, whatever was killed in between. */
export interface LineageCounts {
  /** By "<arm>/<decision>". */
  readonly windows: Readonly<Record<string, number>>
  readonly closedFormPositions: number
  readonly gradientPositions: number
}

/**
 * Everything a later process needs to continue exactly here. The windows themselves are not in it: those that are held
 * back (held out, calibration, replay) are read again from the log, by their place.
 */
export interface Snapshot {
  readonly targetFingerprint: string
  readonly tokenizerHash: string
  /** Next offset to consume, per partition. */
  readonly offsets: readonly PartitionOffset[]
  readonly recentIds: Readonly<Record<string, readonly string[]>>
  readonly counts: LineageCounts
  readonly policy: string
  readonly heldOut: readonly RecordPlace[]
  readonly calibration: readonly RecordPlace[]
  /** Consumed and not yet in the sums. */
  readonly waiting: readonly RecordPlace[]
  readonly replay: readonly ReplayedPlace[]
  /** Logit scale of the newest solution. */
  readonly logitScale: number
  readonly closedForm: ClosedFormState
  readonly gradients: { readonly training: FeatureHeadTrainingState; readonly projection: Float32Array } | undefined
}

export const SNAPSHOT_NAME = 'trainer.safetensors'
const FORMAT = '1'

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const { closedForm, gradients, ...facts } = snapshot
  const sums = encodeSums(closedForm.sums)
  const tensors = new Map<string, Tensor>([['sums', doubleTensor([sums.length / 8], new Float64Array(sums.buffer))]])
  if (gradients !== undefined) {
    tensors.set('projection', vector(gradients.projection))
    for (const part of PARTS) {
      for (const kind of KINDS) {
        for (const [name, data] of gradients.training[part][kind]) tensors.set(`${part}/${kind}/${name}`, vector(data))
      }
    }
  }
  const steps = PARTS.map((part) => gradients?.training[part].steps)
  return encodeSafetensors(tensors, {
    format: FORMAT,
    facts: JSON.stringify({ ...facts, sinceDecay: closedForm.sinceDecay, steps }),
  })
}

const PARTS = ['projection', 'rest'] as const
const KINDS = ['parameters', 'firstMoments', 'secondMoments'] as const

function vector(data: Float32Array): Tensor {
  return floatTensor([data.length], data)
}

/** Throws TRAINER_STATE_INVALID when the bytes are not what encodeSnapshot writes. */
export function decodeSnapshot(bytes: Uint8Array, where: string): Snapshot {
  try {
    const { tensors, metadata } = decodeSafetensors(bytes, where)
    if (metadata['format'] !== FORMAT) throw new RangeError(`its format is ${metadata['format']}, not ${FORMAT}`)
    const { sinceDecay, steps, ...facts } = JSON.parse(metadata['facts'] ?? '') as Omit<
      Snapshot,
      'closedForm' | 'gradients'
    > & {
      sinceDecay: number
      steps: (number | null)[]
    }
    const sums = toDoubles(tensors.get('sums')!)
    const projection = tensors.get('projection')
    return {
      ...facts,
      closedForm: { sums: decodeSums(new Uint8Array(sums.buffer, sums.byteOffset, sums.byteLength)), sinceDecay },
      gradients:
        projection === undefined
          ? undefined
          : { projection: toFloats(projection).slice(), training: trainingState(tensors, steps) },
    }
  } catch (cause) {
    throw new PlateauError('TRAINER_STATE_INVALID', `${where} is not a trainer's state: ${String(cause)}`, {
      facts: { where },
      cause,
    })
  }
}

function trainingState(
  tensors: ReadonlyMap<string, Tensor>,
  steps: readonly (number | null)[],
): FeatureHeadTrainingState {
  const state = (part: string, index: number) => {
    const valuesOf = (kind: string): Map<string, Float32Array> => {
      const prefix = `${part}/${kind}/`
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
