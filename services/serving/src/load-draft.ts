import { causalDraftKind, checkFeatureHeadFits, featureHeadKind, type FeatureHeadConfig } from '@plateau/causal-lm'
import { openCheckpoint, type CheckpointStore, type VerifyingKey } from '@plateau/checkpoints'
import { messageOf, PlateauError, type DraftCheckpoint } from '@plateau/contracts'
import { CausalLmDraft, FeatureHeadDraft, prepareDraftTarget, type DraftTarget } from '@plateau/inference'
import { decodeCausalDraft, decodeFeatureHead, type DraftTargetModel } from '@plateau/model-files'
import type { Draft } from '@plateau/speculation'
import { dirname } from 'node:path'

export interface DraftLoaderOptions {
  readonly store: CheckpointStore
  readonly verifyingKey: VerifyingKey
  readonly lineage: string
  readonly model: DraftTargetModel
  readonly maxProposal: number
}

/** Verified files of a draft as a loaded draft. `where` names them in errors. */
type LoadKind = (files: ReadonlyMap<string, Uint8Array>, where: string, options: LoadOptions) => Promise<Draft>

interface LoadOptions {
  readonly version: string
  readonly maxProposal: number
}

/**
 * Opens announced checkpoints as drafts: verified in full before a byte of them is used. The only place that knows kinds
 * of drafts; everything after it sees a `Draft`.
 */
export class DraftLoader {
  readonly #options: DraftLoaderOptions
  readonly #kinds: ReadonlyMap<string, LoadKind>
  /** Prepared once: every version borrows the same tensors, normalised with the same epsilon. */
  #prepared: { readonly rmsNormEps: number; readonly target: DraftTarget } | undefined

  constructor(options: DraftLoaderOptions) {
    this.#options = options
    this.#kinds = new Map<string, LoadKind>([
      [
        featureHeadKind,
        (files, where, load) => {
          const head = decodeFeatureHead(files, where)
          return FeatureHeadDraft.load(head, this.#target(head.config), load)
        },
      ],
      [
        causalDraftKind,
        (files, where, load) => {
          const draft = decodeCausalDraft(files, where)
          this.#checkVocabulary(draft.config.targetVocabSize)
          return CausalLmDraft.load(draft, load)
        },
      ],
    ])
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
    const loadKind = this.#kinds.get(kind)
    if (loadKind === undefined) {
      const message = `version ${version} is a ${kind}; this build serves ${[...this.#kinds.keys()].join(', ')}`
      throw new PlateauError('DRAFT_KIND_UNKNOWN', message, { facts: { version, kind } })
    }
    try {
      return await loadKind(files, dirname(announced.manifestPath), { version: String(version), maxProposal })
    } catch (cause) {
      if (cause instanceof PlateauError) throw cause
      const message = `version ${version} cannot be loaded: ${messageOf(cause)}`
      throw new PlateauError('DRAFT_INVALID', message, { facts: { version }, cause })
    }
  }

  #target(config: FeatureHeadConfig): DraftTarget {
    const { target } = this.#options.model
    checkFeatureHeadFits(config, target)
    if (this.#prepared?.rmsNormEps !== config.rmsNormEps) {
      this.#prepared = { rmsNormEps: config.rmsNormEps, target: prepareDraftTarget(target, config) }
    }
    return this.#prepared.target
  }

  #checkVocabulary(targetVocabSize: number): void {
    const { vocabSize } = this.#options.model.config
    if (targetVocabSize === vocabSize) return
    throw new RangeError(`the draft was made for a target of ${targetVocabSize} tokens, this one has ${vocabSize}`)
  }
}
