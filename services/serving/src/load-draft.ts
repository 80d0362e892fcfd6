import { checkFeatureHeadFits, featureHeadKind, type FeatureHead } from '@plateau/causal-lm'
import { openCheckpoint, type CheckpointStore, type VerifyingKey } from '@plateau/checkpoints'
import { messageOf, PlateauError, type DraftCheckpoint } from '@plateau/contracts'
import { FeatureHeadDraft, prepareDraftTarget, type DraftTarget } from '@plateau/inference'
import { decodeFeatureHead, type DraftTargetModel } from '@plateau/model-files'
import type { Draft } from '@plateau/speculation'
import { dirname } from 'node:path'

export interface DraftLoaderOptions {
  readonly store: CheckpointStore
  readonly verifyingKey: VerifyingKey
  readonly lineage: string
  readonly model: DraftTargetModel
  readonly maxProposal: number
}

/** Opens announced checkpoints as drafts: verified in full before a byte of them is used. */
export class DraftLoader {
  readonly #options: DraftLoaderOptions
  /** Prepared once: every version borrows the same tensors, normalised with the same epsilon. */
  #prepared: { readonly rmsNormEps: number; readonly target: DraftTarget } | undefined

  constructor(options: DraftLoaderOptions) {
    this.#options = options
  }

  /** Throws PlateauError saying what does not match, is missing or is damaged. */
  async load(announced: DraftCheckpoint, minVersion: number): Promise<Draft> {
    const { store, verifyingKey, lineage, model, maxProposal } = this.#options
    const { manifest, files } = await openCheckpoint(store, announced, {
      publicKeys: [verifyingKey],
      lineage,
      targetFingerprint: model.fingerprint,
      tokenizerHash: model.tokenizerHash,
      minVersion,
    })
    const { version, kind } = manifest
    if (kind !== featureHeadKind) {
      const message = `version ${version} is a ${kind}; this build serves ${featureHeadKind}`
      throw new PlateauError('DRAFT_KIND_UNKNOWN', message, { facts: { version, kind } })
    }
    const head = decodeFeatureHead(files, dirname(announced.manifestPath))
    try {
      return await FeatureHeadDraft.load(head, this.#target(head), { version: String(version), maxProposal })
    } catch (cause) {
      const message = `version ${version} cannot be loaded: ${messageOf(cause)}`
      throw new PlateauError('DRAFT_INVALID', message, { facts: { version }, cause })
    }
  }

  #target({ config }: FeatureHead): DraftTarget {
    const { target } = this.#options.model
    checkFeatureHeadFits(config, target)
    if (this.#prepared?.rmsNormEps !== config.rmsNormEps) {
      this.#prepared = { rmsNormEps: config.rmsNormEps, target: prepareDraftTarget(target, config) }
    }
    return this.#prepared.target
  }
}
