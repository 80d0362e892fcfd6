/**
 * The training graph, the optimiser and the loop against an independent reference: the plain double-precision forward
 * pass, differentiated numerically, and AdamW as in the paper.
 */
import {
  buildTrainGraph,
  gradientPrefix,
  initialParameters,
  parameterShapes,
  referenceForward,
} from '@plateau/causal-lm'
import type { CausalLmConfig, Parameter } from '@plateau/causal-lm'
import { seededRandom } from '@plateau/speculation'
import { AdamW, evaluateLanguageModel, nextTokenBatch, trainLanguageModel } from '@plateau/training'
import type { LanguageModelBatch } from '@plateau/training'
import { describe, expect, it } from 'vitest'
import { loadSession, type InferenceSession } from './session.js'

const tied: CausalLmConfig = {
  vocabSize: 11,
  hiddenSize: 4,
  layers: 2,
  heads: 2,
  kvHeads: 2,
  headDim: 2,
  intermediateSize: 6,
  rmsNormEps: 1e-5,
  ropeTheta: 100,
  maxPositions: 16,
  tieEmbeddings: true,
  bosTokenId: 0,
  eosTokenIds: [0],
}
const groupedAndUntied: CausalLmConfig = { ...tied, layers: 1, heads: 4, kvHeads: 2, tieEmbeddings: false }
const shape = { sequences: 2, positions: 5, targetsPerRow: 1 }
const runs = [
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
]
const batch = nextTokenBatch(runs, shape.positions)

describe.each([
  { kind: 'tied embeddings', config: tied },
  { kind: 'grouped key-value heads, its own head', config: groupedAndUntied },
])('the training graph, $kind', ({ config }) => {
  it('gives the loss of the plain forward pass', async () => {
    const parameters = spreadParameters(config)
    const session = await trainingSession(config)
    const loss = await evaluateLanguageModel(config, session, arraysOf(parameters), [batch])
    expect(loss).toBeCloseTo(plainLoss(config, parameters), 5)
    await session.release()
  })

  it('gives the gradient of the plain forward pass, in every parameter', async () => {
    const parameters = spreadParameters(config)
    const session = await trainingSession(config)
    let gradients: ReadonlyMap<string, Float32Array> | undefined
    const optimizer = new AdamW(parameterShapes(config))
    optimizer.loadParameters(arraysOf(parameters))
    const keepGradients: AdamW['step'] = (given) => {
      gradients = given
      return { gradientNorm: 0, applied: true }
    }
    optimizer.step = keepGradients
    await trainLanguageModel(oneBatchTraining(config, session, optimizer, [1]))
    expect([...gradients!.keys()].toSorted()).toEqual([...parameters.keys()].toSorted())
    const errors = [...plainGradients(config, parameters)].map(([name, expected]) => {
      const scale = Math.max(...expected.map(Math.abs))
      return Math.max(...expected.map((value, i) => Math.abs(value - gradients!.get(name)![i]!))) / scale
    })
    expect(Math.max(...errors)).toBeLessThan(1e-5)
    await session.release()
  })
})

it('training follows the plain reference step by step', async () => {
  const learningRates = [0.005, 0.01, 0.02, 0.02, 0.02, 0.02, 0.01, 0.005]
  const options = { epsilon: 1e-4, weightDecay: 0.1, maxGradientNorm: 1 }
  const parameters = spreadParameters(tied)
  const optimizer = new AdamW(parameterShapes(tied), options)
  optimizer.loadParameters(arraysOf(parameters))
  const session = await trainingSession(tied)
  const losses: number[] = []
  await trainLanguageModel({
    ...oneBatchTraining(tied, session, optimizer, learningRates),
    onStep: ({ loss }) => void losses.push(loss),
  })
  await session.release()

  const expected = plainTrajectory(tied, parameters, learningRates, options)
  expect(expected.at(-1)!).toBeLessThan(expected[0]! * 0.8)
  const differences = losses.map((loss, step) => Math.abs(loss - expected[step]!))
  expect(differences).toHaveLength(learningRates.length)
  expect(Math.max(...differences)).toBeLessThan(1e-5)
})

it('a longer run learns the text by heart', async () => {
  const optimizer = new AdamW(parameterShapes(tied), { weightDecay: 0 })
  optimizer.loadParameters(arraysOf(spreadParameters(tied)))
  const session = await trainingSession(tied)
  let last = Number.NaN
  await trainLanguageModel({
    ...oneBatchTraining(
      tied,
      session,
      optimizer,
      Array.from({ length: 300 }, () => 0.02),
    ),
    onStep: ({ loss }) => void (last = loss),
  })
  // Two tokens are followed by two different ones; everything else can be known.
  expect(last).toBeLessThan(0.35)
  await session.release()
})

it('an evaluation graph gives the same loss and no gradients', async () => {
  const parameters = spreadParameters(tied)
  const { model } = buildTrainGraph(tied, shape, { gradients: false })
  const session = await loadSession(model, { name: 'evaluation', threads: 1 })
  expect(session.outputNames).toEqual(['loss'])
  expect(await evaluateLanguageModel(tied, session, arraysOf(parameters), [batch])).toBeCloseTo(
    plainLoss(tied, parameters),
    5,
  )
  await session.release()
})

it('every parameter has a gradient output of its name', async () => {
  const session = await trainingSession(tied)
  const gradients = session.outputNames.filter((name) => name.startsWith(gradientPrefix))
  expect(gradients).toEqual([...parameterShapes(tied).keys()].map((name) => gradientPrefix + name))
  await session.release()
})

function oneBatchTraining(
  config: CausalLmConfig,
  engine: InferenceSession,
  optimizer: AdamW,
  learningRates: readonly number[],
) {
  const nextBatch = (): LanguageModelBatch => batch
  return { config, engine, optimizer, nextBatch, learningRate: (step: number) => learningRates[step], onStep: () => {} }
}

function trainingSession(config: CausalLmConfig): Promise<InferenceSession> {
  return loadSession(buildTrainGraph(config, shape).model, { name: 'training', threads: 1 })
}

/** Larger than a real initialisation and with uneven norms, so that every path matters. */
function spreadParameters(config: CausalLmConfig): Map<string, Parameter> {
  const random = seededRandom(7)
  const parameters = initialParameters(config, random)
  for (const { shape: dims, data } of parameters.values()) {
    data.forEach((value, i) => (data[i] = dims.length === 1 ? 0.5 + random() : value * 30))
  }
  return parameters
}

function arraysOf(parameters: ReadonlyMap<string, Parameter>): Map<string, Float32Array> {
  return new Map([...parameters].map(([name, { data }]) => [name, data]))
}

/** Mean cross-entropy in double precision. */
function plainLoss(config: CausalLmConfig, parameters: ReadonlyMap<string, Parameter>): number {
  let sum = 0
  for (const run of runs) {
    const { logits } = referenceForward(config, parameters, run.slice(0, -1))
    logits.forEach((row, t) => {
      const largest = Math.max(...row)
      const total = row.reduce((acc, z) => acc + Math.exp(z - largest), 0)
      sum += largest + Math.log(total) - row[run[t + 1]!]!
    })
  }
  return sum / (runs.length * shape.positions)
}

/** Central differences in double precision; the shifts are what 32-bit parameters can really take. */
function plainGradients(config: CausalLmConfig, parameters: ReadonlyMap<string, Parameter>): Map<string, Float64Array> {
  const gradients = new Map<string, Float64Array>()
  for (const [name, { data }] of parameters) {
    const gradient = Float64Array.from(data, (value, i) => {
      const lossAt = (shifted: number) => {
        data[i] = shifted
        return { at: data[i]!, loss: plainLoss(config, parameters) }
      }
      const [above, below] = [lossAt(value + 1e-5), lossAt(value - 1e-5)]
      data[i] = value
      return (above.loss - below.loss) / (above.at - below.at)
    })
    gradients.set(name, gradient)
  }
  return gradients
}

/** AdamW in double precision, parameters rounded to 32 bits after each step. */
function plainTrajectory(
  config: CausalLmConfig,
  start: ReadonlyMap<string, Parameter>,
  learningRates: readonly number[],
  options: { epsilon: number; weightDecay: number; maxGradientNorm: number },
): number[] {
  const [beta1, beta2] = [0.9, 0.95]
  const parameters = new Map(
    [...start].map(([name, { shape: dims, data }]) => [name, { shape: dims, data: data.slice() }]),
  )
  const moments = new Map(
    [...start].map(([name, { data }]) => [
      name,
      { m: new Float64Array(data.length), v: new Float64Array(data.length) },
    ]),
  )
  return learningRates.map((rate, step) => {
    const loss = plainLoss(config, parameters)
    const gradients = plainGradients(config, parameters)
    const norm = Math.hypot(...[...gradients.values()].flatMap((gradient) => [...gradient]))
    const clip = Math.min(1, options.maxGradientNorm / norm)
    for (const [name, { shape: dims, data }] of parameters) {
      const { m, v } = moments.get(name)!
      gradients.get(name)!.forEach((g, i) => {
        m[i] = beta1 * m[i]! + (1 - beta1) * clip * g
        v[i] = beta2 * v[i]! + (1 - beta2) * (clip * g) ** 2
        const direction =
          m[i]! / (1 - beta1 ** (step + 1)) / (Math.sqrt(v[i]! / (1 - beta2 ** (step + 1))) + options.epsilon)
        data[i] = data[i]! * (dims.length > 1 ? 1 - rate * options.weightDecay : 1) - rate * direction
      })
    }
    return loss
  })
}
