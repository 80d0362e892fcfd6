/**
 * From an announced checkpoint to a draft that only needs the engine: read, verified in full, decoded, quantised, encoded.
 * All of it is arithmetic on bytes and its result is plain data, so that it runs in a thread of its own (build-thread.ts)
 * or in this one.
 */
import {
  causalDraftKind,
  checkFeatureHeadFits,
  featureHeadKind,
  type FeatureHeadConfig,
  type FeatureHeadTarget,
} from '@plateau/causal-lm'
import { openCheckpoint, type CheckpointReference, type CheckpointStore, type VerifyingKey } from '@plateau/checkpoints'
import { messageOf, PlateauError } from '@plateau/contracts'
import {
  buildCausalDraft,
  buildFeatureHead,
  prepareDraftTarget,
  type BuiltCausalDraft,
  type BuiltFeatureHead,
  type DraftTarget,
} from '@plateau/inference'
import { decodeCausalDraft, decodeFeatureHead } from '@plateau/model-files'
import { dirname } from 'node:path'
import { freeBuffers } from './owned-buffers.js'

export interface DraftBuilderOptions {
  readonly verifyingKey: VerifyingKey
  readonly model: BuildTarget
  /** From this size on versions share an output head. */
  readonly sharedOutputElements: number
}

/** What a build wants to know of the target. */
export interface BuildTarget {
  readonly fingerprint: string
  readonly tokenizerHash: string
  readonly vocabSize: number
  readonly target: FeatureHeadTarget
}

export interface BuildRequest {
  readonly lineage: string
  readonly announced: CheckpointReference
  readonly minVersion: number
  /** Keys of the output heads that the serving thread has loaded: the build leaves them out. */
  readonly loadedOutputs: readonly string[]
}

export type BuiltDraft = { readonly version: number } & (
  | {
      readonly kind: typeof featureHeadKind
      readonly head: BuiltFeatureHead
      /** DraftTarget's, for the head's epsilon; has its buffer to itself. */
      readonly embeddingScales: Float32Array
    }
  | { readonly kind: typeof causalDraftKind; readonly draft: BuiltCausalDraft }
)

export type ReadableStore = Pick<CheckpointStore, 'read'>

/** Verified files of a draft, which may be decoded. */
interface Verified {
  readonly version: number
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Names them in errors. */
  readonly where: string
  readonly loadedOutputs: readonly string[]
}

export class DraftBuilder {
  readonly #options: DraftBuilderOptions
  readonly #kinds: ReadonlyMap<string, (verified: Verified) => Promise<BuiltDraft>>
  /** Prepared once: every version borrows the same tensors, normalised with the same epsilon. */
  #prepared: { readonly rmsNormEps: number; readonly target: DraftTarget } | undefined

  constructor(options: DraftBuilderOptions) {
    this.#options = options
    this.#kinds = new Map([
      [featureHeadKind, (verified: Verified) => this.#featureHead(verified)],
      [causalDraftKind, (verified: Verified) => this.#causalDraft(verified)],
    ])
  }

  /**
   * Throws PlateauError saying what does not match, is missing or is damaged. What the store read is freed at the end.
   *
   * @param stillWanted asked between stages: throws where nobody waits for the draft any more
   */
  async build(
    store: ReadableStore,
    { lineage, announced, minVersion, loadedOutputs }: BuildRequest,
    stillWanted: () => void,
  ): Promise<BuiltDraft> {
    const { verifyingKey, model } = this.#options
    const { manifest, files } = await openCheckpoint(store, announced, {
      publicKeys: [verifyingKey],
      lineage,
      targetFingerprint: model.fingerprint,
      tokenizerHash: model.tokenizerHash,
      minVersion,
    })
    stillWanted()
    const { version, kind } = manifest
    const buildKind = this.#kinds.get(kind)
    if (buildKind === undefined) {
      const message = `version ${version} is a ${kind}; this build serves ${[...this.#kinds.keys()].join(', ')}`
      throw new PlateauError('DRAFT_KIND_UNKNOWN', message, { facts: { version, kind } })
    }
    try {
      return await buildKind({ version, files, where: dirname(announced.manifestPath), loadedOutputs })
    } catch (cause) {
      throw draftInvalid(version, cause)
    } finally {
      freeBuffers(files.values())
    }
  }

  async #featureHead({ version, files, where, loadedOutputs }: Verified): Promise<BuiltDraft> {
    const head = decodeFeatureHead(files, where)
    const target = this.#target(head.config)
    const embeddingScales = target.embeddingScales.slice()
    const sharedOutput = { minElements: this.#options.sharedOutputElements, loaded: loadedOutputs }
    const built = buildFeatureHead(head, target, { sharedOutput })
    return { kind: featureHeadKind, version, head: built, embeddingScales }
  }

  async #causalDraft({ version, files, where }: Verified): Promise<BuiltDraft> {
    const draft = decodeCausalDraft(files, where)
    const { vocabSize } = this.#options.model
    const { targetVocabSize } = draft.config
    if (targetVocabSize !== vocabSize) {
      throw new RangeError(`the draft was made for a target of ${targetVocabSize} tokens, this one has ${vocabSize}`)
    }
    return { kind: causalDraftKind, version, draft: await buildCausalDraft(draft) }
  }

  #target(config: FeatureHeadConfig): DraftTarget {
    const { target } = this.#options.model
    checkFeatureHeadFits(config, target)
    if (this.#prepared?.rmsNormEps !== config.rmsNormEps) {
      this.#prepared = { rmsNormEps: config.rmsNormEps, target: prepareDraftTarget(target, config) }
    }
    return this.#prepared.target
  }
}

/** What is worth handing over instead of copying, and worth freeing at once. */
export function largeArrays(built: BuiltDraft): (Uint8Array | Float32Array)[] {
  if (built.kind === causalDraftKind) return [built.draft.step.model]
  const { model, output } = built.head
  return [model, built.embeddingScales, ...(output?.model === undefined ? [] : [output.model])]
}

export function draftInvalid(version: number, cause: unknown): PlateauError {
  if (cause instanceof PlateauError) return cause
  const message = `version ${version} cannot be loaded: ${messageOf(cause)}`
  return new PlateauError('DRAFT_INVALID', message, { facts: { version }, cause })
}
