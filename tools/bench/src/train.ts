/**
 * Training steps against what the same engine reaches on a plain matrix product, measured in turn: a busy or a throttled
 * machine slows both.
 */
import {
  buildFeatureHeadTrainGraph,
  buildTrainGraph,
  initialFeatureHead,
  initialParameters,
  parameterShapes,
  type CausalLmConfig,
  type FeatureHeadConfig,
} from '@plateau/causal-lm'
import { float32, loadSession } from '@plateau/inference'
import { seededRandom, type Random } from '@plateau/speculation'
import { GraphBuilder } from '@plateau/tensor-graph'
import {
  AdamW,
  batches,
  FeatureHeadTraining,
  prepareDraftTarget,
  trainLanguageModel,
  type DraftRows,
  type LanguageModelBatch,
} from '@plateau/training'

interface Workload {
  readonly name: string
  readonly tokensPerStep: number
  /** Of one step; undefined where it is not counted. */
  readonly matmulFlops: number | undefined
  step(): Promise<void>
}

const rounds = 30
const warmUpRounds = 5
const threads = 2

export async function benchTrain(): Promise<object> {
  const ceiling = await matmulCeiling()
  const languageModel = await languageModelWorkload()
  const draft = await draftWorkload()
  const workloads = [ceiling, languageModel, draft]
  const timesMs = new Map(workloads.map((workload): [Workload, number[]] => [workload, []]))
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    for (const [workload, times] of timesMs) {
      const began = performance.now()
      await workload.step()
      if (round >= warmUpRounds) times.push(performance.now() - began)
    }
  }
  const figures = (workload: Workload) => summarise(workload, timesMs.get(workload)!)
  printTable(workloads.map((workload) => ({ name: workload.name, ...figures(workload) })))
  const matMul = figures(ceiling)
  const model = figures(languageModel)
  return {
    ofMatMulCeiling: model.gflopsPerSecond! / matMul.gflopsPerSecond!,
    ...model,
    matMulGflopsPerSecond: matMul.gflopsPerSecond,
    draft: figures(draft),
    threads,
    rounds,
  }
}

/** A product of 1024 x 1024 matrices, several in a row; one number comes out, so that no copy is measured. */
async function matmulCeiling(): Promise<Workload> {
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
    step: async () => void (await session.run(feeds)),
  }
}

/** V=2048, H=256, 4 layers of 4 heads of 64, batch 8x128, soft targets of 8 tokens; optimiser included. */
async function languageModelWorkload(): Promise<Workload> {
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
  optimizer.loadParameters(new Map([...initialParameters(config, random)].map(([name, { data }]) => [name, data])))
  const batch = softTargetBatch(config.vocabSize, shape, random)
  const learningRate = (step: number) => (step === 0 ? 1e-4 : undefined)
  return {
    name: 'Llama V2048 H256 L4, 8x128, k=8',
    tokensPerStep: shape.sequences * shape.positions,
    matmulFlops,
    step: () =>
      trainLanguageModel({ config, engine, optimizer, nextBatch: () => batch, learningRate, onStep: mustApply }),
  }
}

/** The demo's draft: a feature-fed head with its decoder layer on the demo target's sizes. */
async function draftWorkload(): Promise<Workload> {
  const config: FeatureHeadConfig = {
    hiddenSize: 256,
    vocabSize: 4096,
    bilinearFeatures: 512,
    rmsNormEps: 1e-5,
    layer: { heads: 4, headDim: 64, intermediateSize: 704, ropeTheta: 10_000, contextPositions: 64 },
  }
  const shape = { sequences: 8, positions: 64, listedTokens: 32 }
  const random = seededRandom(3)
  const { hiddenSize: h, vocabSize: v } = config
  const embeddings = randomFloats(v * h, random, 0.05)
  const target = prepareDraftTarget({ embeddings, head: embeddings, norm: new Float32Array(h).fill(1) }, config)
  const engine = await loadSession(buildFeatureHeadTrainGraph(config, shape, 'tv'), {
    name: 'draft',
    threads,
  })
  const training = new FeatureHeadTraining(initialFeatureHead(config, target, random), target, engine, shape)
  const windows = Array.from({ length: shape.sequences }, () => randomWindow(config, shape, random))
  const pieces = batches(windows, shape.sequences, shape.positions)[0]!
  return {
    name: 'draft head V4096 H256 m512, 8x64, k=32',
    tokensPerStep: shape.sequences * shape.positions,
    matmulFlops: undefined,
    step: async () => mustApply(await training.step(pieces)),
  }
}

/** Probabilities fall by half from one listed token to the next; a tail is left. */
function softTargetBatch(
  vocabSize: number,
  { sequences, positions, targetsPerRow: k }: { sequences: number; positions: number; targetsPerRow: number },
  random: Random,
): LanguageModelBatch {
  const rows = sequences * positions
  const token = () => Math.floor(random() * vocabSize)
  const firstIds = Array.from({ length: rows }, token)
  return {
    sequences,
    positions,
    targetsPerRow: k,
    inputIds: BigInt64Array.from({ length: rows }, () => BigInt(token())),
    targetIds: BigInt64Array.from({ length: rows * k }, (_, i) =>
      BigInt((firstIds[Math.floor(i / k)]! + (i % k) * 131) % vocabSize),
    ),
    targetProbs: Float32Array.from({ length: rows * k }, (_, i) => 2 ** -((i % k) + 1)),
    rowWeights: new Float32Array(rows).fill(1 / rows),
  }
}

function randomWindow(
  config: FeatureHeadConfig,
  shape: { positions: number; listedTokens: number },
  random: Random,
): DraftRows {
  const { positions: length, listedTokens: listed } = shape
  const first = Array.from({ length }, () => Math.floor(random() * config.vocabSize))
  return {
    length,
    tokens: Int32Array.from(first),
    features: randomFloats(length * config.hiddenSize, random, 1),
    nextFeatures: randomFloats(length * config.hiddenSize, random, 1),
    listed,
    listedIds: Int32Array.from(
      { length: length * listed },
      (_, i) => (first[Math.floor(i / listed)]! + (i % listed) * 61) % config.vocabSize,
    ),
    listedProbs: Float32Array.from({ length: length * listed }, (_, i) => 0.4 * 0.6 ** (i % listed)),
    weights: new Float32Array(length).fill(1),
  }
}

function randomFloats(count: number, random: Random, size: number): Float32Array {
  return Float32Array.from({ length: count }, () => size * (2 * random() - 1))
}

/** A skipped step would be measured as a fast one. */
function mustApply({ applied }: { applied: boolean }): void {
  if (!applied) throw new Error('a training step was skipped: its loss or gradient was not finite')
}

interface Figures {
  /** Median. */
  readonly stepMs: number
  readonly tokensPerSecond: number
  readonly gflopsPerSecond: number | undefined
}

function summarise({ tokensPerStep, matmulFlops }: Workload, timesMs: readonly number[]): Figures {
  const stepMs = timesMs.toSorted((a, b) => a - b)[Math.floor(timesMs.length / 2)]!
  const gflopsPerSecond = matmulFlops === undefined ? undefined : matmulFlops / stepMs / 1e6
  return { stepMs, tokensPerSecond: (tokensPerStep * 1000) / stepMs, gflopsPerSecond }
}

function printTable(rows: readonly (Figures & { readonly name: string })[]): void {
  console.log(
    `${'median of one step'.padEnd(42)}${'ms'.padStart(9)}${'tokens/s'.padStart(11)}${'GFLOP/s'.padStart(10)}`,
  )
  for (const { name, stepMs, tokensPerSecond, gflopsPerSecond } of rows) {
    const columns = [
      stepMs.toFixed(1).padStart(9),
      (tokensPerSecond > 0 ? tokensPerSecond.toFixed(0) : '').padStart(11),
      (gflopsPerSecond?.toFixed(0) ?? '').padStart(10),
    ]
    console.log(name.padEnd(42) + columns.join(''))
  }
}
