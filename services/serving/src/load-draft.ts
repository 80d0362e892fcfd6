import { causalDraftKind, featureHeadKind } from '@plateau/causal-lm'
import type { CheckpointStore, VerifyingKey } from '@plateau/checkpoints'
import { PlateauError, type DraftCheckpoint } from '@plateau/contracts'
import {
  CausalLmDraft,
  FeatureHeadDraft,
  OutputHeads,
  SHARED_OUTPUT_ELEMENTS,
  warmEngine,
  type DraftTarget,
} from '@plateau/inference'
import type { DraftTargetModel } from '@plateau/model-files'
import type { Draft } from '@plateau/speculation'
import type { Logger } from '@plateau/telemetry'
import {
  DraftBuilder,
  draftInvalid,
  largeArrays,
  type BuildRequest,
  type BuiltDraft,
  type DraftBuilderOptions,
} from './draft-build/build-draft.js'
import { BUILD_THREAD_LOST, BuildThread, type ThreadProgram } from './draft-build/build-thread.js'
import { freeBuffers } from './draft-build/owned-buffers.js'
import { sharedModel } from './draft-build/shared-model.js'

export interface DraftLoaderOptions {
  /** What `read` returns is given away: it must not be kept. */
  readonly store: CheckpointStore
  readonly verifyingKey: VerifyingKey
  /** Its tensors are copied to where the thread sees them, unless they lie there already (sharedModel). */
  readonly model: DraftTargetModel
  readonly maxProposal: number
  readonly logger: Logger
  /** Default: the thread beside this one; 'none' builds in the calling thread. */
  readonly thread?: ThreadProgram | 'none'
  /** From this size on versions share an output head. Default SHARED_OUTPUT_ELEMENTS. */
  readonly sharedOutputElements?: number
}

/**
 * Opens announced checkpoints as drafts: verified in full before a byte of them is used, built in a thread of its own, so
 * that this one is only held up while the engine takes the finished model, and warm when handed out. Everything after it
 * sees a `Draft`.
 */
export class DraftLoader {
  readonly #options: DraftLoaderOptions
  readonly #builder: DraftBuilderOptions
  readonly #thread: BuildThread | undefined
  readonly #outputs = new OutputHeads()
  /** Where there is no thread. */
  #here: DraftBuilder | undefined
  #target: { readonly rmsNormEps: number; readonly target: DraftTarget } | undefined

  constructor(options: DraftLoaderOptions) {
    this.#options = options
    const { store, verifyingKey, model, thread } = options
    const { fingerprint, tokenizerHash, config, target } = sharedModel(model)
    const about = { fingerprint, tokenizerHash, vocabSize: config.vocabSize, target }
    const { sharedOutputElements = SHARED_OUTPUT_ELEMENTS } = options
    this.#builder = { verifyingKey, model: about, sharedOutputElements }
    this.#thread = thread === 'none' ? undefined : new BuildThread(store, this.#builder, thread)
  }

  /** Loads the engine itself, so that the first draft need not: some tens of milliseconds, before requests come. */
  async start(): Promise<void> {
    await warmEngine()
  }

  /**
   * Throws PlateauError saying what does not match, is missing or is damaged, and the signal's reason once that is aborted.
   * Several loads, of one lineage or of many, queue.
   */
  async load(lineage: string, announced: DraftCheckpoint, minVersion: number, signal?: AbortSignal): Promise<Draft> {
    const outputs = this.#outputs.hold()
    try {
      const about = { lineage, announced: referenceOf(announced), minVersion, loadedOutputs: outputs.loaded }
      const built = await this.#build(about, signal)
      signal?.throwIfAborted()
      return await this.#open(built)
    } finally {
      await outputs.release()
    }
  }

  async close(): Promise<void> {
    await this.#thread?.close()
  }

  async #build(request: BuildRequest, signal: AbortSignal | undefined): Promise<BuiltDraft> {
    if (this.#thread === undefined) return this.#buildHere(request, signal)
    try {
      return await this.#thread.build(request, signal)
    } catch (error) {
      if (!(error instanceof PlateauError && error.code === BUILD_THREAD_LOST)) throw error
      const { version } = request.announced
      this.#options.logger.warn('draft is built in the serving thread: the other one is lost', { version, error })
      return this.#buildHere(request, signal)
    }
  }

  #buildHere(request: BuildRequest, signal: AbortSignal | undefined): Promise<BuiltDraft> {
    this.#here ??= new DraftBuilder(this.#builder)
    return this.#here.build(this.#options.store, request, () => signal?.throwIfAborted())
  }

  async #open(built: BuiltDraft): Promise<Draft> {
    const options = { version: String(built.version), maxProposal: this.#options.maxProposal }
    try {
      if (built.kind === causalDraftKind) return await CausalLmDraft.fromBuilt(built.draft, options)
      return await FeatureHeadDraft.fromBuilt(built.head, this.#targetOf(built), { ...options, outputs: this.#outputs })
    } catch (cause) {
      throw draftInvalid(built.version, cause)
    } finally {
      const kept = this.#target?.target.embeddingScales
      freeBuffers(largeArrays(built).filter((array) => array !== kept))
    }
  }

  /** Every version borrows the same tensors, normalised with the same epsilon. */
  #targetOf({ head, embeddingScales }: Extract<BuiltDraft, { kind: typeof featureHeadKind }>): DraftTarget {
    const { rmsNormEps } = head.config
    if (this.#target?.rmsNormEps !== rmsNormEps) {
      this.#target = { rmsNormEps, target: { ...this.#builder.model.target, embeddingScales } }
    }
    return this.#target.target
  }
}

/** Only what a build reads of an announcement. */
function referenceOf({ lineage, version, manifestPath, manifestSha256 }: DraftCheckpoint): BuildRequest['announced'] {
  return { lineage, version, manifestPath, manifestSha256 }
}
