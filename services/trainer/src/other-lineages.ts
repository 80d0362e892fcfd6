import type { CheckpointStore } from '@plateau/checkpoints'
import type { ModelDescription } from '@plateau/model-files'
import type { Logger } from '@plateau/telemetry'
import type { OtherLearner } from './kinds/draft-kind.js'
import { stateMismatch } from './kinds/draft-kind.js'
import { worksNow } from './retry-later.js'
import { decodeSnapshot, SNAPSHOT_NAME } from './snapshot.js'

export interface OtherLineagesParts {
  readonly store: CheckpointStore
  readonly model: ModelDescription
  readonly kind: { readonly name: string }
  readonly logger: Logger
}

/**
 * What the trainers of other lineages have saved in the same store: their sums are merged with ours, so that trainers that
 * share a stream by its partitions make one closed form.
 */
export class OtherLineages {
  readonly #lineages: readonly string[]
  readonly #parts: OtherLineagesParts
  readonly #last = new Map<string, OtherLearner>()

  constructor(lineages: readonly string[], parts: OtherLineagesParts) {
    this.#lineages = lineages
    this.#parts = parts
  }

  /** Where the store is away, as it was read last. Throws TRAINER_STATE_MISMATCH, TRAINER_STATE_INVALID. */
  async read(): Promise<OtherLearner[]> {
    for (const lineage of this.#lineages) {
      const read = async (): Promise<void> => {
        const found = await this.#readOne(lineage)
        if (found !== undefined) this.#last.set(lineage, found)
      }
      await worksNow(this.#parts.logger, 'a lineage that is to be merged stays as it was read last', read)
    }
    return [...this.#last.values()]
  }

  async #readOne(lineage: string): Promise<OtherLearner | undefined> {
    const { store, model, kind, logger } = this.#parts
    const bytes = await store.readState(lineage, SNAPSHOT_NAME)
    if (bytes === undefined) {
      logger.warn('a lineage that is to be merged has no saved state yet', { lineage })
      return undefined
    }
    const saved = decodeSnapshot(bytes, `the state of lineage ${lineage}`)
    const isOurs =
      saved.kind === kind.name &&
      saved.targetFingerprint === model.fingerprint &&
      saved.tokenizerHash === model.tokenizerHash
    if (!isOurs) throw stateMismatch(lineage, { kind: saved.kind, target: saved.targetFingerprint })
    return { lineage, state: saved.learner }
  }
}
