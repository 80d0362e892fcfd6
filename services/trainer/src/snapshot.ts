import type { PartitionOffset } from '@plateau/event-log'
import { decodeSafetensors, encodeSafetensors } from '@plateau/model-files'
import type { ForgottenTenantsState } from './forgotten-tenants.js'
import { stateInvalid, type LearnerState } from './kinds/draft-kind.js'
import type { RecordPlace } from './training-record.js'

/**
 * Everything a later process needs to continue exactly here. The windows themselves are not in it: those that are held
 * back (held out, calibration, replay) are read again from the log, by their place.
 */
export interface Snapshot {
  /** The kind of draft, as manifests say it. */
  readonly kind: string
  readonly targetFingerprint: string
  readonly tokenizerHash: string
  /** Next offset to consume, per partition. */
  readonly offsets: readonly PartitionOffset[]
  readonly recentIds: Readonly<Record<string, readonly string[]>>
  /**
   * Windows over the lineage's life, by "<arm>/<decision>": every one once, whatever was killed in between.
   */
  readonly windows: Readonly<Record<string, number>>
  readonly policy: string
  readonly heldOut: readonly RecordPlace[]
  readonly calibration: readonly RecordPlace[]
  /** Consumed and not yet trained on. */
  readonly waiting: readonly RecordPlace[]
  readonly forgotten: ForgottenTenantsState
  /** A tenant was forgotten, and the version without it is still to be published. */
  readonly owesVersion: boolean
  readonly learner: LearnerState
}

export const SNAPSHOT_NAME = 'trainer.safetensors'
const FORMAT = '2'

/** What stands as JSON in the file's header. */
type Facts = Omit<Snapshot, 'learner'> & { readonly learner: Omit<LearnerState, 'tensors'> }

export function encodeSnapshot({ learner: { tensors, ...learner }, ...common }: Snapshot): Uint8Array {
  const facts: Facts = { ...common, learner }
  return encodeSafetensors(tensors, { format: FORMAT, facts: JSON.stringify(facts) })
}

/** Throws TRAINER_STATE_INVALID when the bytes are not what encodeSnapshot writes. */
export function decodeSnapshot(bytes: Uint8Array, where: string): Snapshot {
  try {
    const { tensors, metadata } = decodeSafetensors(bytes, where)
    if (metadata['format'] !== FORMAT) throw new RangeError(`its format is ${metadata['format']}, not ${FORMAT}`)
    const { learner, ...common } = JSON.parse(metadata['facts'] ?? '') as Facts
    return { ...common, learner: { ...learner, tensors } }
  } catch (cause) {
    throw stateInvalid(where, cause)
  }
}
