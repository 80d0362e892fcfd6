import {
  checkFeatureHeadFits,
  featureHeadKind,
  parseFeatureHeadConfig,
  type FeatureHead,
  type FeatureHeadTarget,
} from '@plateau/causal-lm'
import { openCheckpoint, type CheckpointStore, type VerifyingKey } from '@plateau/checkpoints'
import { messageOf, PlateauError, type DraftCheckpoint } from '@plateau/contracts'
import { FeatureHeadDraft, prepareDraftTarget, type DraftTarget } from '@plateau/inference'
import { decodeSafetensors, readModelConfig, readParameters, toFloats } from '@plateau/model-files'
import type { Draft } from '@plateau/speculation'
import type { TargetIdentity } from './target-link.js'

export interface DraftLoaderOptions {
  readonly store: CheckpointStore
  readonly verifyingKey: VerifyingKey
  readonly lineage: string
  readonly target: TargetIdentity
  readonly tensors: FeatureHeadTarget
  readonly maxProposal: number
}

/** The target's embedding, head and final norm, which its drafts borrow. */
export async function readDraftTensors(modelDirectory: string): Promise<FeatureHeadTarget> {
  const { tieEmbeddings } = await readModelConfig(modelDirectory)
  const names = ['model.embed_tokens.weight', 'model.norm.weight', ...(tieEmbeddings ? [] : ['lm_head.weight'])]
  const found = await readParameters(modelDirectory, names)
  const data = (name: string): Float32Array => found.get(name)!.data
  const embeddings = data('model.embed_tokens.weight')
  return { embeddings, head: tieEmbeddings ? embeddings : data('lm_head.weight'), norm: data('model.norm.weight') }
}

/** Opens announced checkpoints as drafts: verified in full before a byte of them is used. */
export class DraftLoader {
  readonly #options: DraftLoaderOptions
  /** Prepared once: every version borrows the same tensors, normalised with the same epsilon. */
  #prepared: { readonly rmsNormEps: number; readonly target: DraftTarget } | undefined

  constructor(options: DraftLoaderOptions) {
    this.#options = options
  }

  async load(announced: DraftCheckpoint, minVersion: number): Promise<Draft> {
    const { store, verifyingKey, lineage, target, maxProposal } = this.#options
    const { manifest, files } = await openCheckpoint(store, announced, {
      publicKeys: [verifyingKey],
      lineage,
      targetFingerprint: target.fingerprint,
      tokenizerHash: target.tokenizerHash,
      minVersion,
    })
    if (manifest.kind !== featureHeadKind) {
      throw new PlateauError(
        'DRAFT_KIND_UNKNOWN',
        `version ${manifest.version} is a ${manifest.kind}; this build serves ${featureHeadKind}`,
        {
          facts: { version: manifest.version, kind: manifest.kind },
        },
      )
    }
    try {
      const head = readHead(files)
      const target = this.#target(head)
      return await FeatureHeadDraft.load(head, target, { version: String(manifest.version), maxProposal })
    } catch (cause) {
      if (cause instanceof PlateauError) throw cause
      throw new PlateauError('DRAFT_INVALID', `version ${manifest.version} cannot be loaded: ${messageOf(cause)}`, {
        facts: { version: manifest.version },
        cause,
      })
    }
  }

  #target({ config }: FeatureHead): DraftTarget {
    checkFeatureHeadFits(config, this.#options.tensors)
    if (this.#prepared?.rmsNormEps !== config.rmsNormEps) {
      this.#prepared = { rmsNormEps: config.rmsNormEps, target: prepareDraftTarget(this.#options.tensors, config) }
    }
    return this.#prepared.target
  }
}

function readHead(files: ReadonlyMap<string, Buffer>): FeatureHead {
  const config = parseFeatureHeadConfig(JSON.parse(required(files, 'config.json').toString('utf8')))
  const { tensors } = decodeSafetensors(required(files, 'model.safetensors'), 'model.safetensors')
  const parameters = new Map(
    [...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, data: toFloats(tensor) }]),
  )
  return { config, parameters }
}

function required(files: ReadonlyMap<string, Buffer>, path: string): Buffer {
  const bytes = files.get(path)
  if (bytes === undefined) throw new RangeError(`the checkpoint has no ${path}`)
  return bytes
}
