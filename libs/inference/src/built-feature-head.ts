/**
 * A feature-fed head as the engine loads it. Building it (quantising, encoding the graph) takes most of the time of a load
 * and needs no engine, so that another thread can do it: what comes out is plain data.
 */
import {
  buildFeatureHeadDecodeGraph,
  checkFeatureHead,
  draftOutputMatrix,
  type DraftWeightFormat,
  type FeatureHead,
  type FeatureHeadConfig,
  type PreparedMatrix,
} from '@plateau/causal-lm'
import type { DraftTarget } from '@plateau/training'

export interface BuildFeatureHeadOptions {
  /** Of how many most probable tokens q consists. Default 64. */
  readonly listedTokens?: number
  /** How the matrices are multiplied. Default int8. */
  readonly weightFormat?: DraftWeightFormat
}

export interface BuiltFeatureHead {
  readonly config: FeatureHeadConfig
  /** ONNX; has its buffer to itself. */
  readonly model: Uint8Array
}

/** Throws RangeError when the head does not fit its own configuration. */
export function buildFeatureHead(
  head: FeatureHead,
  target: DraftTarget,
  options: BuildFeatureHeadOptions = {},
): BuiltFeatureHead {
  checkFeatureHead(head)
  const { listedTokens = 64, weightFormat = 'int8' } = options
  const outputMatrix = outputMatrixOf(head, target, weightFormat)
  const model = buildFeatureHeadDecodeGraph(head, target, { listedTokens, weightFormat, outputMatrix })
  return { config: head.config, model }
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
