import {
  parameterShapes,
  referenceForward,
  type CausalLmConfig,
  type Parameter,
  type ReferenceForward,
} from '@plateau/causal-lm'
import { afterEach, describe, expect, test } from 'vitest'
import { CausalLmDecoder, type DecoderOptions } from './causal-lm-decoder.js'
import { memoryWeights } from './memory-weights.js'
import type { StepRows } from './step-rows.js'

const tiny: CausalLmConfig = {
  vocabSize: 50,
  hiddenSize: 24,
  layers: 2,
  heads: 3,
  kvHeads: 3,
  headDim: 8,
  intermediateSize: 40,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  maxPositions: 256,
  tieEmbeddings: false,
  bosTokenId: undefined,
  eosTokenIds: [],
}

const configurations: [string, CausalLmConfig][] = [
  ['every head has its own keys', tiny],
  ['tied head', { ...tiny, tieEmbeddings: true }],
  ['two query heads share a key', { ...tiny, heads: 4, kvHeads: 2, ropeTheta: 500 }],
  ['one key for all, width of heads other than hidden size', { ...tiny, heads: 6, kvHeads: 1, headDim: 16, layers: 3 }],
]

/** Largest difference of a logit from the double-precision reference; logits here reach about 5. */
const tolerance = 2e-5

function random(seed: number): () => number {
  let state = seed >>> 0
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
}

/** Large enough for attention to be far from uniform and logits far from equal. */
function parametersOf(config: CausalLmConfig, seed = 1): Map<string, Parameter> {
  const next = random(seed)
  return new Map(
    [...parameterShapes(config)].map(([name, shape]) => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1))
      const spread = shape.length === 1 ? 0.5 : 3 / Math.sqrt(shape[1]!)
      for (let i = 0; i < data.length; i++) data[i] = (next() - 0.5) * spread + (shape.length === 1 ? 1 : 0)
      return [name, { shape, data }]
    }),
  )
}

function tokensOf(config: CausalLmConfig, count: number, seed = 7): number[] {
  const next = random(seed)
  return Array.from({ length: count }, () => Math.floor(next() * config.vocabSize))
}

const loaded: CausalLmDecoder[] = []
afterEach(() => Promise.all(loaded.splice(0).map((decoder) => decoder.release())))

async function load(config: CausalLmConfig, options: DecoderOptions = {}): Promise<CausalLmDecoder> {
  const decoder = await CausalLmDecoder.load(config, memoryWeights(config, parametersOf(config)), {
    threads: 1,
    topK: 8,
    ...options,
  })
  loaded.push(decoder)
  return decoder
}

/** Largest difference between what a step says and the definitions applied to the reference's logits. */
function worst(rows: StepRows, reference: ReferenceForward, firstPosition: number, temperature = 1): number {
  let difference = 0
  const compare = (actual: number | undefined, expected: number) => {
    difference = Math.max(difference, Math.abs((actual ?? NaN) - expected))
  }
  for (let row = 0; row < rows.count; row++) {
    const logits = reference.logits[firstPosition + row]!
    const { lse, p } = softmax(logits)
    const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]!)
    for (let i = 0; i < rows.topK; i++) {
      expect(rows.topIds[row * rows.topK + i]).toBe(order[i])
      compare(rows.topLogits[row * rows.topK + i], logits[order[i]!]!)
    }
    compare(rows.logSumExp[row], lse)
    compare(
      rows.sumSquares[row],
      p.reduce((sum, value) => sum + value * value, 0),
    )
    compare(
      rows.entropy[row],
      p.reduce((sum, value) => sum - value * Math.log(value), 0),
    )
    compare(rows.scaledLogSumExp[row], softmax(logits.map((z) => z / temperature)).lse)
    reference.hidden[firstPosition + row]!.forEach((value, i, all) => compare(rows.hidden[row * all.length + i], value))
  }
  return difference
}

function softmax(logits: Float64Array): { lse: number; p: Float64Array } {
  const largest = Math.max(...logits)
  const lse = largest + Math.log(logits.reduce((sum, z) => sum + Math.exp(z - largest), 0))
  return { lse, p: logits.map((z) => Math.exp(z - lse)) }
}

describe.each(configurations)('%s', (_, config) => {
  test('prefill, single tokens, a block, a rollback and another block equal the reference at every position', async () => {
    const decoder = await load(config)
    const tokens = tokensOf(config, 40)
    const reference = referenceForward(config, parametersOf(config), tokens)
    const sequence = decoder.open()
    const step = async (from: number, to: number) => {
      expect(sequence.length).toBe(from)
      const rows = await sequence.step(tokens.slice(from, to), { rows: 'all' })
      expect(rows.count).toBe(to - from)
      expect(worst(rows, reference, from)).toBeLessThan(tolerance)
    }
    await step(0, 20)
    for (let at = 20; at < 26; at++) await step(at, at + 1)
    await step(26, 31)
    // A rejected block: other tokens, then back.
    await sequence.step([1, 2, 3, 4, 5].map((id) => (tokens[31]! + id) % config.vocabSize))
    sequence.rollback(31)
    await step(31, 36)
    sequence.rollback(28)
    await step(28, 40)
  })
})

test('temperature and candidates go row by row, and only the chosen rows come back', async () => {
  const decoder = await load(tiny)
  const tokens = tokensOf(tiny, 9)
  const reference = referenceForward(tiny, parametersOf(tiny), tokens)
  const candidates = [[3, 3, 49], [], [0]]
  const rows = await decoder.open().step(tokens, { rows: 3, temperature: [0.25, 1, 4], candidates })
  expect(rows.count).toBe(3)
  expect(rows.candidateLogits.map((values) => values.length)).toEqual([3, 0, 1])
  candidates.forEach((ids, row) => {
    const logits = reference.logits[6 + row]!
    ids.forEach((id, i) => expect(Math.abs(rows.candidateLogits[row]![i]! - logits[id]!)).toBeLessThan(tolerance))
    const { lse } = softmax(logits.map((z) => z / [0.25, 1, 4][row]!))
    // The logits' rounding is divided by the temperature too.
    expect(Math.abs(rows.scaledLogSumExp[row]! - lse)).toBeLessThan(tolerance * 4)
  })
})

test('the scores are right for peaked distributions, for ties and at extreme temperatures', async () => {
  // One layer whose blocks add nothing, so that the hidden state is the normalised embedding: logits are known.
  const config = { ...tiny, layers: 1, vocabSize: 12 }
  const parameters = parametersOf(config)
  for (const name of ['self_attn.o_proj', 'mlp.down_proj'])
    parameters.get(`model.layers.0.${name}.weight`)!.data.fill(0)
  const head = parameters.get('lm_head.weight')!.data
  // Ids 4, 5 and 9 tie by having the same weights, and win by their size.
  const winner = Float32Array.from(parameters.get('model.embed_tokens.weight')!.data.subarray(0, 24), (x) => 40 * x)
  for (const id of [9, 4, 5]) head.set(winner, id * 24)
  const decoder = await CausalLmDecoder.load(config, memoryWeights(config, parameters), { threads: 1, topK: 100 })
  loaded.push(decoder)
  const reference = referenceForward(config, parameters, [0])
  for (const temperature of [0.01, 100]) {
    const rows = await decoder.open().step([0], { temperature })
    expect(rows.topK).toBe(12)
    expect(Array.from(rows.topIds.subarray(0, 3))).toEqual([4, 5, 9])
    expect(rows.sumSquares[0]).toBeCloseTo(1 / 3, 5)
    expect(rows.entropy[0]).toBeCloseTo(Math.log(3), 3)
    const { lse } = softmax(reference.logits[0]!.map((z) => z / temperature))
    expect(Math.abs(rows.scaledLogSumExp[0]! / lse - 1)).toBeLessThan(1e-5)
  }
})

test('full logits of a hidden state are the logits it was scored with', async () => {
  const decoder = await load(tiny)
  const tokens = tokensOf(tiny, 5)
  const rows = await decoder.open().step(tokens, { rows: 2 })
  const logits = await decoder.fullLogits(rows.hidden)
  const reference = referenceForward(tiny, parametersOf(tiny), tokens)
  expect(logits).toHaveLength(2 * 50)
  logits.forEach((z, i) =>
    expect(Math.abs(z - reference.logits[3 + Math.floor(i / 50)]![i % 50]!)).toBeLessThan(tolerance),
  )
})

test('sequences that run at the same time do not mix, and neither do chunks of their prompts', async () => {
  const decoder = await load(tiny, { maxSequences: 4, chunkTokens: 7 })
  const differences = await Promise.all(
    [1, 2, 3, 4].map(async (seed) => {
      const tokens = tokensOf(tiny, 30 + seed, seed)
      const reference = referenceForward(tiny, parametersOf(tiny), tokens)
      const sequence = decoder.open()
      const found = [worst(await sequence.step(tokens.slice(0, 20), { rows: 17 }), reference, 3)]
      for (let at = 20; at < tokens.length; at += 2) {
        found.push(worst(await sequence.step(tokens.slice(at, at + 2), { rows: 'all' }), reference, at))
      }
      return Math.max(...found)
    }),
  )
  expect(Math.max(...differences)).toBeLessThan(tolerance)
})

test('a long prompt lets a short step of another sequence pass between its chunks', async () => {
  const decoder = await load(tiny, { chunkTokens: 8 })
  const order: string[] = []
  const long = decoder
    .open()
    .step(tokensOf(tiny, 80))
    .then(() => order.push('long'))
  const short = decoder
    .open()
    .step([1])
    .then(() => order.push('short'))
  await Promise.all([long, short])
  expect(order).toEqual(['short', 'long'])
})

test('the cache grows across its bucket boundaries, within a block and token by token', async () => {
  const decoder = await load(tiny)
  const tokens = tokensOf(tiny, 140)
  const reference = referenceForward(tiny, parametersOf(tiny), tokens)
  const sequence = decoder.open()
  let at = 0
  for (const count of [60, 3, 1, 1, 5, 50, 9, 1, 10]) {
    const rows = await sequence.step(tokens.slice(at, at + count), { rows: 'all' })
    expect(worst(rows, reference, at)).toBeLessThan(tolerance)
    at += count
  }
  expect(at).toBe(140)
})

test('a chunked prompt that scores everything equals the reference', async () => {
  const decoder = await load(tiny, { chunkTokens: 16 })
  const tokens = tokensOf(tiny, 70)
  const rows = await decoder.open().step(tokens, { rows: 'all', temperature: 0.5 })
  expect(rows.count).toBe(70)
  const reference = referenceForward(tiny, parametersOf(tiny), tokens)
  expect(worst(rows, reference, 0, 0.5)).toBeLessThan(2 * tolerance)
})

test('a sequence that overflows its context is refused and goes on as it was', async () => {
  const decoder = await load(tiny, { maxContext: 10 })
  const tokens = tokensOf(tiny, 10)
  const sequence = decoder.open()
  await sequence.step(tokens.slice(0, 8))
  await expect(sequence.step([1, 2, 3])).rejects.toMatchObject({
    code: 'CONTEXT_OVERFLOW',
    facts: { length: 8, tokens: 3, maxContext: 10 },
  })
  expect(sequence.length).toBe(8)
  const reference = referenceForward(tiny, parametersOf(tiny), tokens)
  expect(worst(await sequence.step(tokens.slice(8), { rows: 'all' }), reference, 8)).toBeLessThan(tolerance)
})

test('ids outside the vocabulary are refused, as tokens and as candidates', async () => {
  const sequence = (await load(tiny)).open()
  for (const id of [-1, 50, 1.5, NaN]) {
    await expect(sequence.step([0, id])).rejects.toMatchObject({ code: 'TOKEN_OUT_OF_RANGE', facts: { vocabSize: 50 } })
    await expect(sequence.step([0], { candidates: [[id]] })).rejects.toMatchObject({ code: 'TOKEN_OUT_OF_RANGE' })
  }
  expect(sequence.length).toBe(0)
})

test('impossible requests are refused with a sentence', async () => {
  const sequence = (await load(tiny)).open()
  await expect(sequence.step([])).rejects.toThrow('at least one token')
  await expect(sequence.step([1], { rows: 2 })).rejects.toThrow('cannot score 2 rows of a step of 1 tokens')
  await expect(sequence.step([1], { temperature: 0 })).rejects.toThrow('temperature must be above 0')
  await expect(sequence.step([1], { temperature: [1, 1] })).rejects.toThrow('2 temperatures')
  await expect(sequence.step([1, 2], { rows: 'all', candidates: [[1]] })).rejects.toThrow('given for 1 rows')
  expect(() => sequence.rollback(1)).toThrow('cannot roll back to length 1')
})

test('only so many sequences are open at once, and closing one makes room', async () => {
  const decoder = await load(tiny, { maxSequences: 2 })
  const first = decoder.open()
  decoder.open()
  expect(() => decoder.open()).toThrow(expect.objectContaining({ code: 'SEQUENCES_EXHAUSTED', retryable: true }))
  first.close()
  first.close()
  expect(decoder.openSequences).toBe(1)
  decoder.open()
  expect(() => decoder.open()).toThrow(expect.objectContaining({ code: 'SEQUENCES_EXHAUSTED' }))
})

test('a sequence takes one step at a time, and none once it is closed', async () => {
  const sequence = (await load(tiny, { chunkTokens: 2 })).open()
  const running = sequence.step([1, 2, 3])
  await expect(sequence.step([4])).rejects.toMatchObject({ code: 'SEQUENCE_BUSY' })
  expect(() => sequence.rollback(0)).toThrow(expect.objectContaining({ code: 'SEQUENCE_BUSY' }))
  sequence.close()
  await expect(running).rejects.toMatchObject({ code: 'SEQUENCE_CLOSED' })
  await expect(sequence.step([4])).rejects.toMatchObject({ code: 'SEQUENCE_CLOSED' })
})

test('a sequence closed in the middle of a step leaves the others alone', async () => {
  const decoder = await load(tiny, { chunkTokens: 4 })
  const tokens = tokensOf(tiny, 24)
  const doomed = decoder.open()
  const other = decoder.open()
  const running = doomed.step(tokensOf(tiny, 24, 3))
  const kept = other.step(tokens, { rows: 'all' })
  setImmediate(() => doomed.close())
  await expect(running).rejects.toMatchObject({ code: 'SEQUENCE_CLOSED' })
  expect(worst(await kept, referenceForward(tiny, parametersOf(tiny), tokens), 0)).toBeLessThan(tolerance)
})

test('a model that lacks a parameter or has one of another shape is refused by name', async () => {
  const parameters = parametersOf(tiny)
  parameters.set('model.norm.weight', { shape: [7], data: new Float32Array(7) })
  await expect(CausalLmDecoder.load(tiny, memoryWeights(tiny, parameters))).rejects.toThrow(
    '"model.norm.weight" has shape [7]',
  )
  parameters.delete('model.norm.weight')
  await expect(CausalLmDecoder.load(tiny, memoryWeights(tiny, parameters))).rejects.toThrow(
    'no parameter "model.norm.weight"',
  )
})
