/**
 * A feature-fed head as the engine loads it. Building it (quantising, encoding the graph) takes most of the time of a load
 * and needs no engine, so that another thread can do it: what comes out is plain data.
 */
import {
  buildDraftOutputGraph,
  buildFeatureHeadDecodeGraph,
  buildFeatureHeadTrunkGraph,
  checkFeatureHead,
  draftOutputMatrix,
  type DraftWeightFormat,
  type FeatureHead,
  type FeatureHeadConfig,
  type PreparedMatrix,
} from '@plateau/causal-lm'
import type { DraftTarget } from '@plateau/training'
import { createHash } from 'node:crypto'

export interface BuildFeatureHeadOptions {
  /** Of how many most probable tokens q consists. Default 64. */
  readonly listedTokens?: number
  /** How the matrices are multiplied. Default int8. */
  readonly weightFormat?: DraftWeightFormat
  /** Set: an output head of at least so many numbers stands apart, for versions to share (OutputHeads). */
  readonly sharedOutput?: SharedOutputOptions
}

export interface SharedOutputOptions {
  readonly minElements: number
  /** Keys of those that are loaded: they are not made again. */
  readonly loaded: readonly string[]
}

/**
 * From how large on an output head is better shared: SmolLM2's 49,152 x 576 takes 12 ms to load and 1.6 ms to run, of which
 * a second run of the engine for every token is a fiftieth; for 8,192 x 576 it would be a seventh.
 */
export const SHARED_OUTPUT_ELEMENTS = 2 ** 24

export interface BuiltFeatureHead {
  readonly config: FeatureHeadConfig
  /** ONNX; has its buffer to itself. */
  readonly model: Uint8Array
  /** Where it is not a part of the model. */
  readonly output: BuiltOutputHead | undefined
}

export interface BuiltOutputHead {
  /** Equal for equal models of one target. */
  readonly key: string
  /** ONNX, with its buffer to itself; undefined where it was loaded already. */
  readonly model: Uint8Array | undefined
}

/** Throws RangeError when the head does not fit its own configuration. */
export function buildFeatureHead(
  head: FeatureHead,
  target: DraftTarget,
  options: BuildFeatureHeadOptions = {},
): BuiltFeatureHead {
  checkFeatureHead(head)
  const { listedTokens = 64, weightFormat = 'int8', sharedOutput } = options
  const outputMatrix = outputMatrixOf(head, target, weightFormat)
  if (sharedOutput !== undefined && outputMatrix.rows * outputMatrix.columns >= sharedOutput.minElements) {
    const key = outputKey(head, weightFormat, listedTokens)
    const isLoaded = sharedOutput.loaded.includes(key)
    const output = isLoaded ? undefined : buildDraftOutputGraph(head, outputMatrix, listedTokens)
    return {
      config: head.config,
      model: buildFeatureHeadTrunkGraph(head, weightFormat),
      output: { key, model: output },
    }
  }
  const model = buildFeatureHeadDecodeGraph(head, target, { listedTokens, weightFormat, outputMatrix })
  return { config: head.config, model, output: undefined }
}

function outputKey({ vocabulary }: FeatureHead, format: DraftWeightFormat, listedTokens: number): string {
  const hash = createHash('sha256').update(`${format} ${listedTokens} ${vocabulary?.length ?? 'all'} `)
  return hash.update(vocabulary ?? new Int32Array(0)).digest('hex')
}

/** Of each target the newest: successive versions mostly share their vocabulary. */
const outputMatrices = new WeakMap<DraftTarget, OutputMatrix>()

interface OutputMatrix {
  readonly vocabulary: Int32Array | undefined
  readonly format: DraftWeightFormat
  readonly matrix: PreparedMatrix
}

function outputMatrixOf(head: FeatureHead, target: DraftTarget, format: DraftWeightFormat): PreparedMatrix {
  const known = outputMatrices.get(target)
  if (known?.format === format && sameIds(known.vocabulary, head.vocabulary)) return known.matrix
  const matrix = draftOutputMatrix(head, target, format)
  outputMatrices.set(target, { vocabulary: head.vocabulary, format, matrix })
  return matrix
}

function sameIds(a: Int32Array | undefined, b: Int32Array | undefined): boolean {
  return a === b || (a?.length === b?.length && a!.every((id, i) => id === b![i]))
}
