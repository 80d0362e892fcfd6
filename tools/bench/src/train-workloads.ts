/** What `bench train` runs: one step of each, with all that PyTorch needs to run the same. */
import {
  buildFeatureHeadTrainGraph,
  buildTrainGraph,
  initialFeatureHead,
  initialParameters,
  parameterShapes,
  trainableFeatureHeadParameters,
  type CausalLmConfig,
  type FeatureHeadConfig,
  type Parameters,
} from '@plateau/causal-lm'
import { float32, loadSession } from '@plateau/inference'
import { seededRandom } from '@plateau/speculation'
import { GraphBuilder } from '@plateau/tensor-graph'
import {
  AdamW,
  batches,
  defaultAdamWOptions,
  defaultFeatureHeadTraining,
  FeatureHeadTraining,
  fillBatch,
  prepareDraftTarget,
  trainLanguageModel,
} from '@plateau/training'
import { randomFloats, randomWindow, softTargetBatch } from './train-data.js'
import type { TwinTensor, TwinWorkload } from './twin-files.js'

export interface Workload {
  readonly name: string
  readonly tokensPerStep: number
  /** Of one step; undefined where it is not counted. */
  readonly matmulFlops: number | undefined
  /** The loss before the step. */
  step(): Promise<number>
}

export interface TrainWorkload extends Workload {
  /** Weights, batch and hyperparameters as they are before the first step. */
  readonly twin: TwinWorkload
}

/** A product of 1024 x 1024 matrices, several in a row; one number comes out, so that no copy is measured. */
export async function matmulCeiling(threads: number): Promise<Workload> {
  const [size, products] = [1024, 4]
  const graph = new GraphBuilder()
  const w = graph.input('w', 'f32', [size, size])
  let x = graph.input('x', 'f32', [size, size])
  for (let i = 0; i < products; i++) x = graph.op('MatMul', [x, w])
  const one = graph.op('Gather', [graph.op('Gather', [x, graph.ints(0)]), graph.ints(0)], { attributes: { axis: 1 } })
  graph.output('one', one, 'f32', [1, 1])
  const session = await loadSession(graph.encode(), { name: 'MatMul 1024', threads })
  const random = seededRandom(1)
  const matrix = () => float32(randomFloats(size * size, random, 0.05), [size, size])
  const feeds = { x: matrix(), w: matrix() }
  return {
    name: `${products} x MatMul 1024^3`,
    tokensPerStep: 0,
    matmulFlops: products * 2 * size ** 3,
    step: async () => ((await session.run(feeds))['one']!.data as Float32Array)[0]!,
  }
}

/** V=2048, H=256, 4 layers of 4 heads of 64, batch 8x128, soft targets of 8 tokens; optimiser included. */
export async function languageModelWorkload(threads: number): Promise<TrainWorkload> {
  const config: CausalLmConfig = {
    vocabSize: 2048,
    hiddenSize: 256,
    layers: 4,
    heads: 4,
    kvHeads: 4,
    headDim: 64,
    intermediateSize: 704,
    rmsNormEps: 1e-5,
    ropeTheta: 10_000,
    maxPositions: 128,
    tieEmbeddings: false,
    bosTokenId: undefined,
    eosTokenIds: [],
  }
  const shape = { sequences: 8, positions: 128, targetsPerRow: 8 }
  const random = seededRandom(2)
  const { model, matmulFlops } = buildTrainGraph(config, shape)
  const engine = await loadSession(model, { name: 'language model', threads })
  const optimizer = new AdamW(parameterShapes(config))
  const parameters = initialParameters(config, random)
  optimizer.loadParameters(dataOf(parameters))
  const batch = softTargetBatch(config.vocabSize, shape, random)
  const peak = 1e-4
  const rows = shape.sequences * shape.positions
  const step = async (): Promise<number> => {
    let before = Number.NaN
    await trainLanguageModel({
      config,
      engine,
      optimizer,
      nextBatch: () => batch,
      learningRate: (number) => (number === 0 ? peak : undefined),
      onStep: ({ loss, applied }) => {
        mustApply(applied)
        before = loss
      },
    })
    return before
  }
  return {
    name: 'Llama V2048 H256 L4, 8x128, k=8',
    tokensPerStep: rows,
    matmulFlops,
    step,
    twin: {
      kind: 'causal-lm',
      loss: 'kl',
      sequences: shape.sequences,
      positions: shape.positions,
      layers: config.layers,
      headDim: config.headDim,
      eps: config.rmsNormEps,
      ropeTheta: config.ropeTheta,
      adamw: adamwOf({ learningRate: peak, warmUpSteps: 0 }, [{ names: [...parameters.keys()], rate: 1 }]),
      trained: parameters,
      fixed: new Map<string, TwinTensor>([
        ['input_ids', { shape: [rows], data: batch.inputIds }],
        ...targetTensors(rows, shape.targetsPerRow, batch.targetIds, batch.targetProbs, batch.rowWeights),
      ]),
    },
  }
}

const trainerShape = { sequences: 8, positions: 64, listedTokens: 32 }
/** As many as the trainer's default. */
const bilinearFeatures = 512

export const headSizes = {
  /** The demo's own target. */
  demo: { hiddenSize: 256, vocabSize: 4096 },
  /** SmolLM2-135M, drafting from the 8,192 most frequent of its 49,152 tokens. */
  smollm2: { hiddenSize: 576, vocabSize: 8192 },
} as const

/** A feature-fed head with the decoder layer that the trainer gives it, on its batch shape and loss. */
export async function featureHeadWorkload(size: keyof typeof headSizes, threads: number): Promise<TrainWorkload> {
  const { hiddenSize: h, vocabSize: v } = headSizes[size]
  const layer = {
    heads: h / 64,
    headDim: 64,
    intermediateSize: 8 * Math.round(h / 3),
    ropeTheta: 10_000,
    contextPositions: 64,
  }
  const config: FeatureHeadConfig = { hiddenSize: h, vocabSize: v, bilinearFeatures, rmsNormEps: 1e-5, layer }
  const { sequences, positions, listedTokens } = trainerShape
  const random = seededRandom(3)
  const embeddings = randomFloats(v * h, random, 0.05)
  const target = prepareDraftTarget({ embeddings, head: embeddings, norm: new Float32Array(h).fill(1) }, config)
  const engine = await loadSession(buildFeatureHeadTrainGraph(config, trainerShape, 'tv'), { name: 'draft', threads })
  const head = initialFeatureHead(config, target, random)
  const training = new FeatureHeadTraining(head, target, engine, trainerShape)
  const windows = Array.from({ length: sequences }, () => randomWindow(config, trainerShape, random))
  const pieces = batches(windows, sequences, positions)[0]!
  const names = trainableFeatureHeadParameters(config)
  const rows = sequences * positions
  const filled = fillBatch(pieces, target, listedTokens, sequences, positions)
  const named = (wanted: (name: string) => boolean) => new Map([...head.parameters].filter(([name]) => wanted(name)))
  return {
    name: `draft head V${v} H${h} m${bilinearFeatures}, ${sequences}x${positions}, k=${listedTokens}`,
    tokensPerStep: rows,
    matmulFlops: undefined,
    step: async () => {
      const { applied, loss } = await training.step(pieces)
      mustApply(applied)
      return loss
    },
    twin: {
      kind: 'feature-head',
      loss: 'tv',
      sequences,
      positions,
      layers: 1,
      headDim: layer.headDim,
      eps: config.rmsNormEps,
      ropeTheta: layer.ropeTheta,
      adamw: adamwOf(defaultFeatureHeadTraining, [
        { names: names.filter((name) => name !== 'fc.weight'), rate: 1 },
        { names: ['fc.weight'], rate: defaultFeatureHeadTraining.projectionRate },
      ]),
      trained: named((name) => names.includes(name)),
      fixed: new Map<string, TwinTensor>([
        ...named((name) => !names.includes(name)),
        ['head', { shape: [v, h], data: target.head }],
        ['token', { shape: [rows, h], data: filled.token }],
        ['feature', { shape: [rows, h], data: filled.feature }],
        ...targetTensors(rows, listedTokens, filled.ids, filled.probs, new Float32Array(rows).fill(1 / rows)),
      ]),
    },
  }
}

function targetTensors(
  rows: number,
  listed: number,
  ids: BigInt64Array,
  probs: Float32Array,
  weights: Float32Array,
): [string, TwinTensor][] {
  return [
    ['target_ids', { shape: [rows, listed], data: ids }],
    ['target_probs', { shape: [rows, listed], data: probs }],
    ['row_weights', { shape: [rows], data: weights }],
  ]
}

function adamwOf(
  options: { readonly learningRate: number; readonly warmUpSteps: number; readonly weightDecay?: number },
  groups: TwinWorkload['adamw']['groups'],
): TwinWorkload['adamw'] {
  const { beta1, beta2, epsilon, weightDecay, maxGradientNorm } = { ...defaultAdamWOptions, ...options }
  const { learningRate, warmUpSteps } = options
  return { learningRate, warmUpSteps, betas: [beta1, beta2], epsilon, weightDecay, maxGradientNorm, groups }
}

const dataOf = (parameters: Parameters): Map<string, Float32Array> =>
  new Map([...parameters].map(([name, { data }]) => [name, data]))

/** A skipped step would be measured as a fast one. */
function mustApply(applied: boolean): void {
  if (!applied) throw new Error('a training step was skipped: its loss or gradient was not finite')
}
