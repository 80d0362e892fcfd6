import type { WeightFormat } from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { CausalLmDecoder, type RunReport } from '@plateau/inference'
import { openModel, type ModelDescription } from '@plateau/model-files'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The loaded target. Frees native memory by `release`. */
export interface Target {
  readonly description: ModelDescription
  readonly decoder: CausalLmDecoder
  readonly maxProposal: number
  readonly threads: number
}

export interface TargetOptions {
  readonly topK: number
  readonly maxSequences: number
  readonly maxProposal: number
  /** Undefined: measured at start. */
  readonly threads?: number | undefined
  readonly weights: WeightFormat
  /** Memory for keys and values. */
  readonly cacheBytes: number
  /** Where built models are kept; undefined: in the user's cache, or nowhere where that cannot be written. */
  readonly modelCache?: string | undefined
  readonly onRun?: (report: RunReport) => void
  /** Memory that weights may take; default: what the system says is available. */
  readonly freeBytes?: number
}

/** @param path a Hugging Face directory or a GGUF file */
export async function loadTarget(path: string, options: TargetOptions): Promise<Target> {
  const model = await openModel(path, {
    memory: { freeBytes: options.freeBytes ?? process.availableMemory(), format: options.weights },
  })
  const { description } = model
  try {
    if (description.config.maxPositions < 2) {
      throw new PlateauError('MODEL_UNUSABLE', `${path} has room for ${description.config.maxPositions} positions`)
    }
    const load = (directory: string | undefined) =>
      CausalLmDecoder.load(description.config, model.weights, {
        name: description.modelId,
        topK: options.topK,
        maxSequences: options.maxSequences,
        threads: options.threads ?? 'measured',
        weightFormat: options.weights,
        cacheBytes: options.cacheBytes,
        modelCache: directory === undefined ? undefined : { directory, fingerprint: description.fingerprint },
        ...(options.onRun ? { onRun: options.onRun } : {}),
      })
    const decoder = await load(options.modelCache ?? join(homedir(), '.cache', 'plateau', 'built')).catch((error) => {
      if (options.modelCache !== undefined || !isUnusableCache(error)) throw error
      return load(undefined)
    })
    return { description, decoder, maxProposal: options.maxProposal, threads: decoder.threads }
  } finally {
    await model.close()
  }
}

function isUnusableCache(error: unknown): boolean {
  return error instanceof PlateauError && error.code === 'MODEL_CACHE_UNUSABLE'
}
