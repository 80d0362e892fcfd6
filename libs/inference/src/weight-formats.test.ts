/** Whole models in 8 and 4 bits beside the double-precision reference. */
import {
  parameterShapes,
  referenceForward,
  type CausalLmConfig,
  type Parameter,
  type QuantizedMatrix,
  type WeightFormat,
  type WeightSource,
} from '@plateau/causal-lm'
import { afterEach, describe, expect, test } from 'vitest'
import { CausalLmDecoder } from './causal-lm-decoder.js'
import { memoryWeights } from './memory-weights.js'

const small: CausalLmConfig = {
  vocabSize: 90,
  hiddenSize: 64,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  intermediateSize: 128,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  maxPositions: 64,
  tieEmbeddings: false,
  bosTokenId: undefined,
  eosTokenIds: [],
}

const configurations: [string, CausalLmConfig][] = [
  ['untied', small],
  ['tied', { ...small, tieEmbeddings: true }],
  ['with biases and normed heads', { ...small, attentionBias: true, qkNorm: true }],
  ['widths that are no whole number of blocks', { ...small, hiddenSize: 52, intermediateSize: 100, headDim: 18 }],
]

const loaded: CausalLmDecoder[] = []
afterEach(() => Promise.all(loaded.splice(0).map((decoder) => decoder.release())))

function random(seed: number): () => number {
  let state = seed >>> 0
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
}

/** Logits spread over about 5, attention far from uniform. */
function parametersOf(config: CausalLmConfig): Map<string, Parameter> {
  const next = random(1)
  return new Map(
    [...parameterShapes(config)].map(([name, shape]) => {
      const spread = shape.length === 1 ? 0.5 : 3 / Math.sqrt(shape[1]!)
      const centre = name.endsWith('norm.weight') ? 1 : 0
      const length = shape.reduce((a, b) => a * b, 1)
      return [name, { shape, data: Float32Array.from({ length }, () => (next() - 0.5) * spread + centre) }]
    }),
  )
}

/** The same values in Q4_1's blocks: 16 levels between the smallest and the largest of 32. */
function inFourBits({ shape, data }: Parameter): QuantizedMatrix {
  const [rows, columns] = shape as [number, number]
  const blocks = data.length / 32
  const [scales, offsets] = [new Float32Array(blocks), new Float32Array(blocks)]
  const codes = Uint8Array.from(data, (value, i) => {
    const block = Math.floor(i / 32)
    const values = data.subarray(block * 32, block * 32 + 32)
    offsets[block] = Math.min(...values)
    scales[block] = (Math.max(...values) - offsets[block]!) / 15
    return Math.round((value - offsets[block]!) / scales[block]!)
  })
  return { rows, columns, bits: 4, blockSize: 32, codes, scales, offsets }
}

const dequantized = ({ codes, scales, offsets }: QuantizedMatrix) =>
  Float32Array.from(codes, (code, i) => scales[Math.floor(i / 32)]! * code + offsets![Math.floor(i / 32)]!)

/** A model file of 4-bit matrices, and the parameters that it stands for. */
function fourBitModel(config: CausalLmConfig): { source: WeightSource; parameters: Map<string, Parameter> } {
  const blocks = new Map<string, QuantizedMatrix>()
  const parameters = parametersOf(config)
  for (const [name, parameter] of parameters) {
    if (parameter.shape.length === 1) continue
    blocks.set(name, inFourBits(parameter))
    parameters.set(name, { ...parameter, data: dequantized(blocks.get(name)!) })
  }
  return { source: { ...memoryWeights(config, parameters), readBlocks: async (name) => blocks.get(name) }, parameters }
}

const tokens = [3, 17, 80, 5, 5, 41, 66, 2, 29, 88, 13, 50, 7, 34, 71, 60]

/** Mean KL(reference || decoder) in nats, and the largest difference of a logit. */
async function deviation(
  config: CausalLmConfig,
  source: WeightSource,
  parameters: Map<string, Parameter>,
  weightFormat: WeightFormat,
) {
  const decoder = await CausalLmDecoder.load(config, source, { topK: config.vocabSize, threads: 1, weightFormat })
  loaded.push(decoder)
  const sequence = decoder.open()
  // A prompt, a single token, a block: other kernels for each.
  const steps = [tokens.slice(0, 8), tokens.slice(8, 9), tokens.slice(9)]
  const logits: Float64Array[] = []
  for (const step of steps) {
    const rows = await sequence.step(step, { rows: 'all' })
    for (let row = 0; row < rows.count; row++) {
      const of = new Float64Array(config.vocabSize)
      for (let i = 0; i < rows.topK; i++) of[rows.topIds[row * rows.topK + i]!] = rows.topLogits[row * rows.topK + i]!
      logits.push(of)
    }
  }
  const reference = referenceForward(config, parameters, tokens).logits
  const kl = reference.map((expected, t) => divergence(expected, logits[t]!))
  const differences = reference.flatMap((expected, t) => Array.from(expected, (z, i) => Math.abs(z - logits[t]![i]!)))
  return { meanKl: kl.reduce((a, b) => a + b, 0) / kl.length, largest: Math.max(...differences) }
}

function divergence(expected: Float64Array, actual: Float64Array): number {
  const [p, q] = [expected, actual].map((z) => {
    const largest = Math.max(...z)
    const logSum = Math.log(z.reduce((sum, value) => sum + Math.exp(value - largest), 0)) + largest
    return z.map((value) => value - logSum)
  })
  return p!.reduce((sum, logP, i) => sum + Math.exp(logP) * (logP - q![i]!), 0)
}

describe.each(configurations)('%s', (_, config) => {
  test('f32 is exact', async () => {
    const parameters = parametersOf(config)
    const { meanKl, largest } = await deviation(config, memoryWeights(config, parameters), parameters, 'f32')
    expect(largest).toBeLessThan(2e-5)
    expect(meanKl).toBeLessThan(1e-9)
  })

  test('int8 is close, and not exact', async () => {
    const parameters = parametersOf(config)
    const { meanKl, largest } = await deviation(config, memoryWeights(config, parameters), parameters, 'int8')
    expect(largest).toBeLessThan(0.15)
    expect(meanKl).toBeLessThan(5e-4)
    expect(meanKl).toBeGreaterThan(1e-8)
  })
})

describe('4-bit blocks with offsets', () => {
  test.each(configurations.slice(0, 3))('%s: int4 multiplies by the stored numbers', async (_, config) => {
    const { source, parameters } = fourBitModel(config)
    const { meanKl, largest } = await deviation(config, source, parameters, 'int4')
    // What rounding x to 8 bits costs. Rounding these weights to 4 bits again costs a hundred times as much.
    expect(largest).toBeLessThan(0.15)
    expect(meanKl).toBeLessThan(5e-4)
    const original = await deviation(config, source, parametersOf(config), 'int4')
    expect(original.meanKl).toBeGreaterThan(30 * meanKl)
  })
})
