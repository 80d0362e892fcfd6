/** Sequences that join, leave, roll back and are cancelled at any time, against the plain reference. */
import {
  parameterShapes,
  referenceForward,
  type CausalLmConfig,
  type Parameter,
  type WeightFormat,
} from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { afterEach, describe, expect, test } from 'vitest'
import { CausalLmDecoder, type DecoderOptions } from './causal-lm-decoder.js'
import type { RunReport } from './decode-loop.js'
import type { Sequence } from './decoder-sequence.js'
import { kvRowBytes } from './kv-arena.js'
import { memoryWeights } from './memory-weights.js'
import type { StepRows } from './step-rows.js'

const tiny: CausalLmConfig = {
  vocabSize: 50,
  hiddenSize: 32,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  intermediateSize: 64,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  maxPositions: 256,
  tieEmbeddings: false,
  bosTokenId: undefined,
  eosTokenIds: [],
}

/** Largest difference of a logit from the double-precision reference; logits here reach about 5. */
const tolerance = 2e-5

function random(seed: number): () => number {
  let state = seed >>> 0
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
}

function parametersOf(config: CausalLmConfig): Map<string, Parameter> {
  const next = random(1)
  return new Map(
    [...parameterShapes(config)].map(([name, shape]) => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1))
      const spread = shape.length === 1 ? 0.5 : 3 / Math.sqrt(shape[1]!)
      for (let i = 0; i < data.length; i++) data[i] = (next() - 0.5) * spread + (name.includes('norm') ? 1 : 0)
      return [name, { shape, data }]
    }),
  )
}

function tokensOf(count: number, seed: number): number[] {
  const next = random(seed)
  return Array.from({ length: count }, () => Math.floor(next() * tiny.vocabSize))
}

const loaded: CausalLmDecoder[] = []
afterEach(() => Promise.all(loaded.splice(0).map((decoder) => decoder.release())))

async function load(options: DecoderOptions = {}, config = tiny): Promise<CausalLmDecoder> {
  const weights = memoryWeights(config, parametersOf(config))
  const decoder = await CausalLmDecoder.load(config, weights, { topK: 8, maxSequences: 16, ...options })
  loaded.push(decoder)
  return decoder
}

/** Texts whose logits have been computed; a text that one of them begins with is not computed again. */
const known: { config: CausalLmConfig; tokens: readonly number[]; logits: Float64Array[] }[] = []
function logitsOf(config: CausalLmConfig, tokens: readonly number[]): Float64Array[] {
  const longer = known.find((text) => text.config === config && tokens.every((token, i) => text.tokens[i] === token))
  if (longer) return longer.logits.slice(0, tokens.length)
  const { logits } = referenceForward(config, parametersOf(config), tokens)
  known.push({ config, tokens: [...tokens], logits })
  return logits
}

/** Largest difference of a listed logit; rows belong to the last tokens. */
function worst(rows: StepRows, tokens: readonly number[], config = tiny): number {
  const logits = logitsOf(config, tokens).slice(-rows.count)
  let difference = 0
  for (let i = 0; i < rows.count * rows.topK; i++) {
    const expected = logits[Math.floor(i / rows.topK)]![rows.topIds[i]!]!
    difference = Math.max(difference, Math.abs(rows.topLogits[i]! - expected))
  }
  return difference
}

describe('sequences of ragged lengths in one batch equal the reference', () => {
  const families: [string, CausalLmConfig][] = [
    ['grouped queries', tiny],
    ['every head its own keys', { ...tiny, kvHeads: 4 }],
    ['norms of queries and keys', { ...tiny, qkNorm: true, family: 'qwen3' }],
    ['biases', { ...tiny, attentionBias: true, family: 'qwen2' }],
    ['a sliding window', { ...tiny, slidingWindow: 7, family: 'mistral' }],
  ]
  test.each(families)('%s', async (_, config) => {
    const runs: RunReport[] = []
    const decoder = await load({ onRun: (run) => runs.push(run), chunkTokens: 64 }, config)
    const texts = Array.from({ length: 16 }, (_unused, i) => tokensOf(12 + 7 * i, i))
    for (const text of texts) logitsOf(config, text)
    const sequences = texts.map(() => decoder.open())
    await Promise.all(sequences.map((sequence, i) => sequence.step(texts[i]!.slice(0, -8))))
    runs.length = 0
    // One token, then a block whose length differs from sequence to sequence, then what is left.
    const cuts = texts.map((text, i) => [text.length - 8, text.length - 7, text.length - 7 + (i % 7), text.length])
    for (let part = 0; part < 3; part++) {
      const answers = await Promise.all(
        sequences.map(async (sequence, i) => {
          const block = texts[i]!.slice(cuts[i]![part], cuts[i]![part + 1])
          return block.length === 0 ? undefined : sequence.step(block, { rows: 'all' })
        }),
      )
      const differences = answers.map((rows, i) =>
        rows ? worst(rows, texts[i]!.slice(0, cuts[i]![part + 1]), config) : 0,
      )
      expect(Math.max(...differences)).toBeLessThan(tolerance)
    }
    expect(runs[0]).toMatchObject({ sequences: 16, tokens: 16, waiting: 0 })
  })

  // The engine's kernels for other processors may treat one row and several differently.
  test.runIf(process.arch === 'x64').each<WeightFormat>(['f32', 'int8'])(
    '%s: who else is in the batch changes no bit of a single step',
    async (weightFormat) => {
      const [batched, single] = [await load({ weightFormat }), await load({ weightFormat })]
      const texts = Array.from({ length: 16 }, (_, i) => tokensOf(9 + 5 * i, i))
      const [together, alone] = [batched, single].map((decoder) => texts.map(() => decoder.open()))
      // The same beginnings, one by one, so that only the last step is in other company.
      for (const sequences of [together!, alone!]) {
        for (const [i, sequence] of sequences.entries()) await sequence.step(texts[i]!)
      }
      const answers = await Promise.all(together!.map((sequence, i) => sequence.step([i])))
      for (const [i, answer] of answers.entries()) {
        const expected = await alone![i]!.step([i])
        expect(Array.from(answer.topIds)).toEqual(Array.from(expected.topIds))
        expect(Array.from(answer.topLogits)).toEqual(Array.from(expected.topLogits))
      }
    },
  )

  test.each<WeightFormat>(['f32', 'int8'])(
    '%s: a batch of 16 says what each sequence alone does',
    async (weightFormat) => {
      const [batched, single] = [await load({ weightFormat }), await load({ weightFormat })]
      const texts = Array.from({ length: 16 }, (_, i) => tokensOf(9 + 5 * i, i))
      const together = texts.map(() => batched.open())
      await Promise.all(together.map((sequence, i) => sequence.step(texts[i]!)))
      const blocks = texts.map((_, i) => tokensOf(1 + (i % 5), 100 + i))
      const answers = await Promise.all(together.map((sequence, i) => sequence.step(blocks[i]!, { rows: 'all' })))
      for (const [i, answer] of answers.entries()) {
        const alone = single.open()
        await alone.step(texts[i]!)
        const expected = await alone.step(blocks[i]!, { rows: 'all' })
        expect(Array.from(answer.topIds)).toEqual(Array.from(expected.topIds))
        answer.topLogits.forEach((logit, at) =>
          expect(Math.abs(logit - expected.topLogits[at]!)).toBeLessThan(tolerance),
        )
        alone.close()
      }
    },
  )
})

interface Answer {
  readonly rows: StepRows
  /** All tokens up to the last that rows belong to. */
  readonly tokens: readonly number[]
}

/** One sequence's life: steps of random lengths, rollbacks, and an end that may come in the middle of a step. */
async function live(decoder: CausalLmDecoder, seed: number): Promise<Answer[]> {
  const answers: Answer[] = []
  const next = random(seed)
  const pause = async () => {
    for (let turns = Math.floor(next() * 4); turns > 0; turns--) await new Promise(setImmediate)
  }
  await pause()
  const sequence = decoder.open()
  let tokens: number[] = []
  try {
    for (let steps = 3 + Math.floor(next() * 8); steps > 0; steps--) {
      // Half of the texts begin alike.
      const count = tokens.length === 0 ? 1 + Math.floor(next() * 90) : 1 + Math.floor(next() * 9)
      const block =
        tokens.length === 0 && seed % 2 === 0 ? tokensOf(count, 5) : tokensOf(count, Math.floor(next() * 1e9))
      if (tokens.length + count > 200) break
      const options = next() < 0.5 ? ({ rows: 'all' } as const) : { temperature: 0.7, candidates: [[1, 2]] }
      const running = sequence.step(block, options)
      if (next() < 0.04) setImmediate(() => sequence.close())
      const rows = await running
      tokens = [...tokens, ...block]
      answers.push({ rows, tokens })
      if (next() < 0.4) {
        tokens = tokens.slice(0, tokens.length - Math.floor(next() * Math.min(8, tokens.length)))
        sequence.rollback(tokens.length)
      }
      await pause()
    }
  } catch (error) {
    if (!(error instanceof PlateauError && error.code === 'SEQUENCE_CLOSED')) throw error
  }
  sequence.close()
  return answers
}

describe('joining, leaving, rolling back and cancelling at random', () => {
  const plenty = 2 ** 24
  const scarce = 300 * kvRowBytes(tiny)
  test.each([
    [1, plenty],
    [2, plenty],
    [3, scarce],
    [4, scarce],
  ])('schedule %d within %d bytes equals the reference at every position', async (seed, cacheBytes) => {
    const decoder: CausalLmDecoder = await load({
      cacheBytes,
      chunkTokens: 32,
      sharedChunkTokens: 8,
      onRun: () => {
        // A callback's exception would end the run, and every step of it would fail the test.
        if (decoder.memory.reservedBytes > cacheBytes) throw new Error('more memory than there is')
        largest = Math.max(largest, decoder.memory.reservedBytes)
      },
    })
    let largest = 0
    const lives = Array.from({ length: 28 }, (_, i) => i)
    const answers: Answer[] = []
    await Promise.all(
      Array.from({ length: 14 }, async () => {
        for (let life = lives.shift(); life !== undefined; life = lives.shift()) {
          answers.push(...(await live(decoder, seed * 1000 + life)))
        }
      }),
    )
    // The longest first: what others begin with is then known.
    answers.sort((a, b) => b.tokens.length - a.tokens.length)
    for (const { rows, tokens } of answers) expect(worst(rows, tokens)).toBeLessThan(tolerance)
    expect(decoder.openSequences).toBe(0)
    expect(answers.reduce((sum, { rows }) => sum + rows.count, 0)).toBeGreaterThan(300)
    expect(decoder.reusedTokens).toBeGreaterThan(0)
    expect(largest).toBeGreaterThan(0)
  })
})

describe('a prompt that begins like an earlier one', () => {
  const system = tokensOf(50, 1)
  const ask = async (decoder: CausalLmDecoder, question: number[], options = {}): Promise<StepRows> => {
    const sequence = decoder.open()
    const rows = await sequence.step([...system, ...question], options)
    sequence.close()
    return rows
  }

  test('takes whole blocks of it instead of computing them, with the same bits every time', async () => {
    const runs: RunReport[] = []
    const decoder = await load({ onRun: (run) => runs.push(run) })
    const question = tokensOf(9, 2)
    const computed = await ask(decoder, tokensOf(9, 3))
    const [first, second] = [await ask(decoder, question), await ask(decoder, question)]
    expect(worst(computed, [...system, ...tokensOf(9, 3)])).toBeLessThan(tolerance)
    expect(worst(first, [...system, ...question])).toBeLessThan(tolerance)
    expect(second.topLogits).toEqual(first.topLogits)
    expect(second.hidden).toEqual(first.hidden)
    expect(decoder.reusedTokens).toBe(48 + 48)
    expect(runs.map(({ tokens }) => tokens)).toEqual([59, 11, 11])
  })

  test('gets its hidden states, those of reused tokens included', async () => {
    const [fresh, used] = [await load(), await load()]
    await ask(used, tokensOf(9, 3))
    const expected = await ask(fresh, tokensOf(9, 2), { features: 40 })
    const actual = await ask(used, tokensOf(9, 2), { features: 40 })
    expect([used.reusedTokens, actual.features.length]).toEqual([48, 40 * tiny.hiddenSize])
    actual.features.forEach((value, i) => expect(Math.abs(value - expected.features[i]!)).toBeLessThan(tolerance))
  })

  test('computes what it wants to know about, though its keys and values are known', async () => {
    const decoder = await load()
    await ask(decoder, [])
    const rows = await ask(decoder, tokensOf(9, 2), { rows: 30 })
    expect(worst(rows, [...system, ...tokensOf(9, 2)])).toBeLessThan(tolerance)
    expect(decoder.reusedTokens).toBe(16)
  })

  test('goes on from an earlier answer, too, as the next turn of a chat does', async () => {
    const decoder = await load()
    const first = decoder.open()
    await first.step(system)
    const answer = tokensOf(30, 8)
    for (const token of answer) await first.step([token])
    first.close()
    const turn = await ask(decoder, [...answer, 3, 4])
    expect(worst(turn, [...system, ...answer, 3, 4])).toBeLessThan(tolerance)
    expect(decoder.reusedTokens).toBe(80)
  })

  test('finds nothing where nothing may be kept', async () => {
    const decoder = await load({ prefixBytes: 0 })
    await ask(decoder, [1])
    await ask(decoder, [2])
    expect([decoder.reusedTokens, decoder.memory.prefixBytes]).toEqual([0, 0])
  })
})

test('sequences that lost their memory to older ones are computed again, and none is refused', async () => {
  let computed = 0
  const onRun = ({ tokens }: RunReport) => (computed += tokens)
  const decoder = await load({ cacheBytes: 150 * kvRowBytes(tiny), prefixBytes: 0, maxContext: 100, onRun })
  const texts = Array.from({ length: 6 }, (_, i) => tokensOf(90, i))
  const finish = async (sequence: Sequence, text: number[]): Promise<number> => {
    await sequence.step(text.slice(0, 40))
    let difference = worst(await sequence.step(text.slice(40), { rows: 'all' }), text)
    sequence.rollback(40)
    for (let at = 40; at < 90; at++) {
      difference = Math.max(difference, worst(await sequence.step([text[at]!]), text.slice(0, at + 1)))
    }
    sequence.close()
    return difference
  }
  const differences = await Promise.all(texts.map((text) => finish(decoder.open(), text)))
  expect(Math.max(...differences)).toBeLessThan(tolerance)
  expect(computed).toBeGreaterThan(6 * (40 + 50 + 50))
})

test('closing frees a place at once, also in the middle of a step', async () => {
  const decoder = await load({ maxSequences: 1, chunkTokens: 4 })
  const doomed = decoder.open()
  const running = doomed.step(tokensOf(40, 1))
  await new Promise(setImmediate)
  doomed.close()
  const next = decoder.open()
  await expect(running).rejects.toMatchObject({ code: 'SEQUENCE_CLOSED' })
  const tokens = tokensOf(9, 2)
  expect(worst(await next.step(tokens, { rows: 'all' }), tokens)).toBeLessThan(tolerance)
})
