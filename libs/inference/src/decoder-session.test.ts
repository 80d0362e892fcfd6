import { parameterShapes, type CausalLmConfig, type Parameter, type WeightSource } from '@plateau/causal-lm'
import { readExternalData } from '@plateau/tensor-graph'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadDecoderSession, type DecoderSession, type DecoderSessionOptions } from './decoder-session.js'
import { float32 } from './host-tensor.js'
import { memoryWeights } from './memory-weights.js'

const tiny: CausalLmConfig = {
  vocabSize: 70,
  hiddenSize: 64,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 32,
  intermediateSize: 96,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  maxPositions: 32,
  tieEmbeddings: false,
  bosTokenId: undefined,
  eosTokenIds: [],
}

let directory: string
const loaded: DecoderSession[] = []
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plateau-decoder-session-'))
})
afterEach(async () => {
  await Promise.all(loaded.splice(0).map((decoder) => decoder.release()))
  await rm(directory, { recursive: true, force: true })
})

function random(seed: number): () => number {
  let state = seed >>> 0
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
}

function parametersOf(config: CausalLmConfig): Map<string, Parameter> {
  const next = random(3)
  return new Map(
    [...parameterShapes(config)].map(([name, shape]) => {
      const length = shape.reduce((a, b) => a * b, 1)
      return [name, { shape, data: Float32Array.from({ length }, () => next() - 0.5) }]
    }),
  )
}

interface Choice extends Partial<DecoderSessionOptions> {
  readonly config?: CausalLmConfig
  readonly source?: WeightSource
  readonly fingerprint?: string
}

async function load({ config = tiny, source, fingerprint = 'one', ...options }: Choice = {}): Promise<DecoderSession> {
  const decoder = await loadDecoderSession(config, source ?? memoryWeights(config, parametersOf(config)), {
    name: 'tiny',
    topK: 8,
    maxContext: 32,
    threads: 1,
    weightFormat: 'int8',
    cache: { directory, fingerprint },
    ...options,
  })
  loaded.push(decoder)
  return decoder
}

const hidden = float32(
  Float32Array.from({ length: 3 * 64 }, (_, i) => Math.sin(i * 1.7)),
  [3, 64],
)

async function logitsOf(decoder: DecoderSession): Promise<number[]> {
  const { logits } = await (await decoder.head()).run({ hidden })
  expect(logits!.dims).toEqual([3, 70])
  return Array.from(logits!.data, Number)
}

const unread: WeightSource = {
  names: [],
  read: (name) => Promise.reject(new Error(`${name} was read`)),
  readBlocks: (name) => Promise.reject(new Error(`${name} was read`)),
}

test.each(['f32', 'int8'] as const)(
  '%s: built in memory, built on disk and found there give equal logits',
  async (weightFormat) => {
    const inMemory = await load({ weightFormat, cache: undefined })
    const built = await load({ weightFormat })
    const found = await load({ weightFormat, source: unread })
    expect([inMemory, built, found].map((decoder) => decoder.fromCache)).toEqual([false, false, true])
    const logits = await logitsOf(inMemory)
    expect(Math.max(...logits) - Math.min(...logits)).toBeGreaterThan(1)
    expect(await logitsOf(built)).toEqual(logits)
    expect(await logitsOf(found)).toEqual(logits)
    expect(new Set([inMemory, built, found].map((decoder) => decoder.weightBytes)).size).toBe(1)
  },
)

test('the bytes a step reads: every matrix once, of the embedding table nothing unless it is the head', async () => {
  // Per layer q, k, v, o, gate, up and down; then the head.
  const values = 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 96) + 70 * 64
  expect((await load({ weightFormat: 'f32' })).weightBytes).toBe(4 * values)
  expect((await load({ weightFormat: 'f32', config: { ...tiny, tieEmbeddings: true } })).weightBytes).toBe(4 * values)
  // A byte a code, and a scale of four bytes for 64 codes; for 32 where 96 columns are down's.
  const down = 2 * 64 * 96
  expect((await load({ weightFormat: 'int8' })).weightBytes).toBe(values + (values - down) / 16 + down / 8)
})

test('threads are measured with the model itself where so asked, and a model knows what was measured', async () => {
  const most = availableParallelism()
  const measured = await load({ threads: 'measured' })
  expect(measured.threads).toBeGreaterThanOrEqual(1)
  expect(measured.threads).toBeLessThanOrEqual(most)
  const [entry] = await readdir(directory)
  await writeFile(join(directory, entry!, `threads-of-${most}`), String(most))
  expect((await load({ threads: 'measured' })).threads).toBe(most)
  for (const nonsense of ['many', String(most + 1)]) {
    await writeFile(join(directory, entry!, `threads-of-${most}`), nonsense)
    expect((await load({ threads: 'measured' })).threads).toBeLessThanOrEqual(most)
  }
  expect((await load({ threads: 1 })).threads).toBe(1)
}, 30_000)

test('a tied table is stored once', async () => {
  const bytesOf = async (config: CausalLmConfig) => {
    await load({ config, fingerprint: String(config.tieEmbeddings) })
    const sizes = await Promise.all(
      (await readdir(directory)).map(async (name) => (await readFile(join(directory, name, 'weights.bin'))).length),
    )
    return Math.max(...sizes)
  }
  const tied = await bytesOf({ ...tiny, tieEmbeddings: true })
  expect((await bytesOf(tiny)) - tied).toBeGreaterThan(70 * 64)
})

test('the layout that the engine multiplies by lies in the weights, at the beginning of pages', async () => {
  await load()
  const [entry] = await readdir(directory)
  for (const file of ['step.onnx', 'head.onnx']) {
    const external = [...readExternalData(await readFile(join(directory, entry!, file))).values()]
    const packed = external.flatMap((entries) => entries['prepacked_0'] ?? [])
    expect(packed.length).toBe(file === 'step.onnx' ? 4 * tiny.layers + 1 : 1)
    for (const value of packed) {
      const [key, place] = value.split('|')
      expect(key).toMatch(/^MatMulNBits\+/)
      expect(Number(place!.split(';')[0]) % 4096).toBe(0)
    }
  }
  const external = [...readExternalData(await readFile(join(directory, entry!, 'step-own.onnx'))).values()]
  expect(external.length).toBeGreaterThan(0)
  expect(external.filter((entries) => entries['prepacked_0'] !== undefined)).toEqual([])
  expect((await readdir(join(directory, entry!))).sort()).toEqual([
    'entry.json',
    'head.onnx',
    'step-own.onnx',
    'step.onnx',
    'weights.bin',
  ])
})

test('huge pages and shared ones hold the same weights', async () => {
  const shared = await load({ hugePages: false })
  const huge = await load({ hugePages: true })
  expect([shared, huge].map(({ memory, fromCache }) => [memory, fromCache])).toEqual([
    ['shared', false],
    ['huge-pages', true],
  ])
  expect(await logitsOf(huge)).toEqual(await logitsOf(shared))
})

test('another fingerprint, format, top-k, context or shape is another model', async () => {
  const others: Choice[] = [
    {},
    { fingerprint: 'two' },
    { weightFormat: 'f32' },
    { topK: 9 },
    { maxContext: 16 },
    { config: { ...tiny, ropeTheta: 500 } },
    { config: { ...tiny, tieEmbeddings: true } },
  ]
  for (const choice of others) expect((await load(choice)).fromCache).toBe(false)
  expect((await readdir(directory)).length).toBe(others.length)
})

test('the head outlives the files and the source it came from', async () => {
  const logits = await logitsOf(await load({ cache: undefined }))
  const built = await load()
  const found = await load({ source: unread })
  const inHugePages = await load({ source: unread, hugePages: true })
  await rm(directory, { recursive: true })
  for (const decoder of [built, found, inHugePages]) expect(await logitsOf(decoder)).toEqual(logits)
})

test.each([
  ['all graphs', ['step.onnx', 'step-own.onnx', 'head.onnx']],
  ['the head', ['head.onnx']],
])('a model whose files have the right sizes and the wrong content is built anew: %s', async (_, wrong) => {
  const logits = await logitsOf(await load())
  const [entry] = await readdir(directory)
  for (const file of wrong) {
    const path = join(directory, entry!, file)
    await writeFile(path, new Uint8Array((await readFile(path)).length).fill(255))
  }
  const again = await load()
  expect(again.fromCache).toBe(false)
  expect(await logitsOf(again)).toEqual(logits)
})

test('int4 of a model without 4-bit weights is refused, and nothing is left behind', async () => {
  await expect(load({ weightFormat: 'int4' })).rejects.toMatchObject({ code: 'WEIGHTS_NOT_4_BIT' })
  await expect(load({ weightFormat: 'int4', cache: undefined })).rejects.toMatchObject({ code: 'WEIGHTS_NOT_4_BIT' })
  expect(await readdir(directory)).toEqual([])
})

test('a weight that cannot be read is named, and nothing is left behind', async () => {
  await expect(load({ source: unread })).rejects.toThrow('input_layernorm.weight was read')
  expect(await readdir(directory)).toEqual([])
})
