/** A decoder's two graphs, its step and its head, built around weights in memory or in a file. */
import {
  buildDecoderGraph,
  buildHeadGraph,
  headLayerName,
  matrixBytes,
  matrixKey,
  preparedWeights,
  prepareWeights,
  recordRequests,
  type CausalLmConfig,
  type DecoderGraphOptions,
  type KeepTensor,
  type PreparedWeights,
  type WeightFormat,
  type WeightRequests,
  type WeightSource,
  type WeightsOf,
} from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import type { GraphBuilder, TensorData } from '@plateau/tensor-graph'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { writeSynced } from './model-cache.js'
import { appendPackedWeights, withPackedWeights } from './packed-weights.js'
import { TensorFileWriter } from './tensor-file-writer.js'

export interface DecoderPlan {
  readonly config: CausalLmConfig
  readonly format: WeightFormat
  readonly requests: WeightRequests
  /** Of everything but the weights' values: equal where equal weights make an equal model. */
  readonly structureHash: string
  readonly step: (weightsOf: WeightsOf) => GraphBuilder
  readonly head: (weightsOf: WeightsOf) => GraphBuilder
}

/** Raise it when formats or files change in a way that the graphs do not show. */
const buildVersion = 2

export function planDecoder(config: CausalLmConfig, format: WeightFormat, options: DecoderGraphOptions): DecoderPlan {
  const hash = createHash('sha256').update(`${buildVersion} ${format} `)
  const step = (weightsOf: WeightsOf) => buildDecoderGraph(config, weightsOf, options)
  const head = (weightsOf: WeightsOf) => buildHeadGraph(config, weightsOf)
  // The head's matrix is among the step's.
  const requests = recordRequests((weightsOf) => hash.update(step(weightsOf).encode()))
  recordRequests((weightsOf) => hash.update(head(weightsOf).encode()))
  return { config, format, requests, structureHash: hash.digest('hex'), step, head }
}

/** The step alone, as plain data: what a decoder needs that is never asked for whole rows of logits. */
export interface BuiltStep {
  /** ONNX; has its buffer to itself. */
  readonly model: Uint8Array
  readonly weightBytes: number
}

export async function buildStep(plan: DecoderPlan, source: WeightSource): Promise<BuiltStep> {
  const prepared = await prepare(plan, source, async (pieces) => joined(pieces))
  const model = plan.step((graph) => preparedWeights(graph, prepared)).encode()
  return { model, weightBytes: weightBytesOf(plan, prepared) }
}

export interface DecoderInMemory {
  readonly step: () => Uint8Array
  readonly head: () => Uint8Array
  readonly weightBytes: number
}

export async function buildInMemory(plan: DecoderPlan, source: WeightSource): Promise<DecoderInMemory> {
  const prepared = await prepare(plan, source, async (pieces) => joined(pieces))
  // Only what the head needs outlives the call.
  const headKey = headLayerName(plan.config)
  const ofHead: PreparedWeights = {
    vectors: new Map(),
    matrices: new Map([[headKey, prepared.matrices.get(headKey)!]]),
  }
  const step = plan.step((graph) => preparedWeights(graph, prepared)).encode()
  return {
    step: () => step,
    head: () => plan.head((graph) => preparedWeights(graph, ofHead)).encode(),
    weightBytes: weightBytesOf(plan, prepared),
  }
}

/**
 * Names of the files that buildInto writes. The step is there twice: `ownStep` leaves the layout that its matrices are
 * multiplied in to the process that loads it; `step`, and `head` too, say where it lies in the weights.
 */
export const decoderFiles = {
  ownStep: 'step-own.onnx',
  step: 'step.onnx',
  head: 'head.onnx',
  weights: 'weights.bin',
} as const

/** Holds one matrix in memory at a time; then the engine holds all of them once, for the layout that later loads map. */
export async function buildInto(directory: string, plan: DecoderPlan, source: WeightSource) {
  const weights = await TensorFileWriter.create(join(directory, decoderFiles.weights))
  try {
    const prepared = await prepare(plan, source, (pieces) => weights.append(pieces))
    const write = (name: string, content: Uint8Array) => writeSynced(join(directory, name), content)
    const step = plan.step((graph) => preparedWeights(graph, prepared)).encode()
    const head = plan.head((graph) => preparedWeights(graph, prepared)).encode()
    await write(decoderFiles.ownStep, step)
    const packed = await appendPackedWeights(directory, decoderFiles.ownStep, weights)
    await write(decoderFiles.step, withPackedWeights(step, packed))
    await write(decoderFiles.head, withPackedWeights(head, packed))
    return { weightBytes: weightBytesOf(plan, prepared) }
  } finally {
    await weights.close()
  }
}

async function prepare(plan: DecoderPlan, source: WeightSource, keep: KeepTensor): Promise<PreparedWeights> {
  const prepared = await prepareWeights(plan.config, plan.requests, source, plan.format, keep)
  const matrices = [...prepared.matrices.values()].flat()
  if (plan.format === 'int4' && !matrices.some((matrix) => matrix.kind === 'blocks' && matrix.bits === 4)) {
    throw new PlateauError(
      'WEIGHTS_NOT_4_BIT',
      'The weight format int4 multiplies by weights that the model file stores in 4 bits, and this model has none. ' +
        'Choose int8 or f32.',
    )
  }
  return prepared
}

function weightBytesOf({ requests }: DecoderPlan, { matrices }: PreparedWeights): number {
  const read = requests.linears.flatMap((layers) => matrices.get(matrixKey(layers)) ?? [])
  return read.reduce((sum, matrix) => sum + matrixBytes(matrix), 0)
}

function joined(pieces: readonly ArrayBufferView[]): TensorData {
  if (pieces.length === 1) return pieces[0]!
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0))
  let at = 0
  for (const piece of pieces) {
    bytes.set(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength), at)
    at += piece.byteLength
  }
  return bytes
}
