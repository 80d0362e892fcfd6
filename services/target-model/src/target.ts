import { PlateauError } from '@plateau/contracts'
import { CausalLmDecoder } from '@plateau/inference'
import { readModelDirectory, type ModelDescription } from '@plateau/model-files'

/** The loaded target. Frees native memory by `release`. */
export interface Target {
  readonly description: ModelDescription
  readonly decoder: CausalLmDecoder
  readonly parameters: number
  readonly maxProposal: number
}

export interface TargetOptions {
  readonly topK: number
  readonly maxSequences: number
  readonly maxProposal: number
  readonly threads?: number | undefined
}

export async function loadTarget(directory: string, options: TargetOptions): Promise<Target> {
  const { parameters, ...description } = await readModelDirectory(directory)
  if (description.config.maxPositions < 2) {
    throw new PlateauError('MODEL_UNUSABLE', `${directory} has room for ${description.config.maxPositions} positions`)
  }
  let count = 0
  for (const { data } of parameters.values()) count += data.length
  const decoder = await CausalLmDecoder.load(description.config, parameters, {
    name: description.modelId,
    topK: options.topK,
    maxSequences: options.maxSequences,
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  })
  return { description, decoder, parameters: count, maxProposal: options.maxProposal }
}
