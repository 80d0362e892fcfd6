import type { CheckpointStore } from '@plateau/checkpoints'
import type { ModelDescription } from '@plateau/model-files'
import type { Logger } from '@plateau/telemetry'
import type { OtherLearner } from './kinds/draft-kind.js'
import { stateMismatch } from './kinds/draft-kind.js'
import { decodeSnapshot, SNAPSHOT_NAME } from './snapshot.js'

export interface OtherLineagesParts {
  readonly store: CheckpointStore
  readonly model: ModelDescription
  readonly kind: { readonly name: string }
  readonly logger: Logger
}

/**
 * What the trainers of other lineages have saved in the same store: their sums are merged with ours, so that trainers that
 * share a stream by its partitions make one closed form. Throws TRAINER_STATE_MISMATCH, TRAINER_STATE_INVALID.
 */
export async function readOthers(
  lineages: readonly string[],
  { store, model, kind, logger }: OtherLineagesParts,
): Promise<OtherLearner[]> {
  const found: OtherLearner[] = []
  for (const lineage of lineages) {
    const bytes = await store.readState(lineage, SNAPSHOT_NAME)
    if (bytes === undefined) {
      logger.warn('a lineage that is to be merged has no saved state yet', { lineage })
      continue
    }
    const saved = decodeSnapshot(bytes, `the state of lineage ${lineage}`)
    const isOurs =
      saved.kind === kind.name &&
      saved.targetFingerprint === model.fingerprint &&
      saved.tokenizerHash === model.tokenizerHash
    if (!isOurs) throw stateMismatch(lineage, { kind: saved.kind, target: saved.targetFingerprint })
    found.push({ lineage, state: saved.learner })
  }
  return found
}
