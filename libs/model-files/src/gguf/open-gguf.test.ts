import { type CausalLmConfig, parameterShapes } from '@plateau/causal-lm'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { describeModelDirectory, openModel, readModelDirectory } from '../model-directory.js'
import { loadTokenizer } from '../tokenizer.js'
import {
  type GgufParts,
  floatValue,
  numberValue,
  textsValue,
  textValue,
  u32,
  u64,
  writeGguf,
} from '../testing/write-gguf.js'
import { ggufName } from './names.js'

const config: CausalLmConfig = {
  family: 'llama',
  vocabSize: 4,
  hiddenSize: 32,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 16,
  intermediateSize: 32,
  rmsNormEps: 0.5,
  ropeTheta: 10_000,
  maxPositions: 64,
  tieEmbeddings: true,
  bosTokenId: 1,
  eosTokenIds: [2],
}

type Tensor = NonNullable<GgufParts['tensors']>[number]

const tensors: readonly Tensor[] = [...parameterShapes(config)].map(([name, shape]) => ({
  name: ggufName(name),
  sizes: shape.toReversed(),
  type: 0,
  data: Buffer.alloc(4 * shape.reduce((a, b) => a * b, 1)),
}))

const metadata: Readonly<Record<string, Buffer>> = {
  'general.architecture': textValue('llama'),
  'llama.block_count': numberValue(1),
  'llama.context_length': numberValue(64),
  'llama.embedding_length': numberValue(32),
  'llama.feed_forward_length': numberValue(32),
  'llama.attention.head_count': numberValue(2),
  'llama.attention.head_count_kv': numberValue(1),
  'llama.attention.layer_norm_rms_epsilon': floatValue(0.5),
  'tokenizer.ggml.model': textValue('gpt2'),
  'tokenizer.ggml.pre': textValue('smollm'),
  'tokenizer.ggml.tokens': textsValue(['a', 'b', 'ab', 'c']),
  'tokenizer.ggml.merges': textsValue(['a b']),
  'tokenizer.ggml.bos_token_id': numberValue(1),
  'tokenizer.ggml.eos_token_id': numberValue(2),
}

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plateau-gguf-'))
})
afterEach(async () => rm(directory, { recursive: true }))

async function write(
  changes: Readonly<Record<string, Buffer | undefined>> = {},
  of: readonly Tensor[] = tensors,
  name = 'm.gguf',
): Promise<string> {
  const entries = Object.entries({ ...metadata, ...changes }).filter(
    (entry): entry is [string, Buffer] => entry[1] !== undefined,
  )
  const path = join(directory, name)
  await writeFile(path, writeGguf({ metadata: entries, tensors: of }))
  return path
}

const changed = (name: string, change: Partial<Tensor>): readonly Tensor[] =>
  tensors.map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor))

describe('a GGUF file', () => {
  it('is a model by its path, or by that of a directory where it is the only one', async () => {
    const path = await write()
    const model = await readModelDirectory(path)
    expect(model).toMatchObject({ modelId: 'm', format: 'gguf', config })
    expect(await describeModelDirectory(directory)).toMatchObject({ fingerprint: model.fingerprint })
    expect((await loadTokenizer(directory)).encode('abc')).toEqual([2, 3])
    await write({}, tensors, 'n.gguf')
    await expect(describeModelDirectory(directory)).rejects.toThrow('several models (m.gguf, n.gguf)')
  })

  it('without embeddings of its own for the output shares them; with them it does not', async () => {
    const head = { ...tensors[0]!, name: 'output.weight' }
    expect((await describeModelDirectory(await write({}, [...tensors, head]))).config.tieEmbeddings).toBe(false)
  })

  it('has a linear scale of rotary positions where it says so', async () => {
    const scaled = { 'llama.rope.scaling.type': textValue('linear'), 'llama.rope.scaling.factor': floatValue(4) }
    const { config: found } = await describeModelDirectory(await write(scaled))
    expect(found.ropeScaling).toEqual({ kind: 'linear', factor: 4 })
  })

  it('ends at control tokens with the usual names, too', async () => {
    const types = Buffer.concat([u32(9), u32(5), u64(4), ...[1, 1, 1, 3].map(u32)])
    const tokens = textsValue(['a', 'b', 'ab', '<|eot_id|>'])
    const path = await write({ 'tokenizer.ggml.tokens': tokens, 'tokenizer.ggml.token_type': types })
    expect((await describeModelDirectory(path)).config.eosTokenIds).toEqual([2, 3])
  })

  it.each<[string, Readonly<Record<string, Buffer | undefined>>, string, string]>([
    [
      'of another architecture',
      { 'general.architecture': textValue('mamba') },
      'MODEL_UNSUPPORTED',
      'architecture "mamba"',
    ],
    ['with experts', { 'llama.expert_count': numberValue(8) }, 'MODEL_UNSUPPORTED', 'llama.expert_count 8'],
    ['with another rotary scaling', { 'llama.rope.scaling.type': textValue('yarn') }, 'MODEL_UNSUPPORTED', '"yarn"'],
    ['that is one of several', { 'split.count': numberValue(3) }, 'MODEL_UNSUPPORTED', 'one of 3 parts'],
    [
      'that turns a part of each head',
      { 'llama.rope.dimension_count': numberValue(8) },
      'MODEL_UNSUPPORTED',
      'dimension_count 8',
    ],
    [
      'without its number of layers',
      { 'llama.block_count': undefined },
      'MODEL_FILE_INVALID',
      'llama.block_count must be',
    ],
    [
      'with layers beyond count',
      { 'llama.block_count': numberValue(2 ** 31) },
      'MODEL_FILE_INVALID',
      'llama.block_count must be',
    ],
    [
      'with more layers than tensors',
      { 'llama.block_count': numberValue(2) },
      'TENSOR_MISSING',
      'blk.1.attn_norm.weight',
    ],
    ['without a tokenizer', { 'tokenizer.ggml.model': undefined }, 'TOKENIZER_INVALID', 'carries no tokenizer'],
    [
      'with more tokens than embeddings',
      { 'tokenizer.ggml.tokens': textsValue(['a', 'b', 'ab', 'c', 'd']) },
      'MODEL_FILE_INVALID',
      'its tokenizer has 5 tokens',
    ],
    ['of another width', { 'llama.feed_forward_length': numberValue(64) }, 'TENSOR_SHAPE', 'ffn_gate.weight'],
  ])('%s is refused in one line', async (_, changes, code, sentence) => {
    const message = expect.stringContaining(sentence) as string
    await expect(openModel(await write(changes))).rejects.toMatchObject({ code, message })
  })

  it('names a tensor that it has no place for, or whose type is not read', async () => {
    const extra = { ...tensors[1]!, name: 'blk.0.ffn_gate_inp.weight' }
    const more = openModel(await write({}, [...tensors, extra]))
    await expect(more).rejects.toMatchObject({ code: 'TENSOR_UNEXPECTED', facts: { tensor: extra.name } })
    const ints = openModel(await write({}, changed('output_norm.weight', { type: 26 })))
    await expect(ints).rejects.toMatchObject({
      code: 'TENSOR_DTYPE',
      message: expect.stringContaining('type I32') as string,
    })
  })

  it('with weights that are no numbers opens, and names the tensor when it is read, in either way', async () => {
    const q = 'blk.0.attn_q.weight'
    const blocks = Buffer.alloc(32 * 34)
    blocks.writeUInt16LE(0x7e00, 3 * 34)
    const model = await openModel(await write({}, changed(q, { type: 8, data: blocks })))
    const name = 'model.layers.0.self_attn.q_proj.weight'
    const expected = { code: 'TENSOR_NOT_FINITE', facts: { tensor: q } }
    await expect(model.weights.read(name)).rejects.toMatchObject(expected)
    await expect(model.weights.readBlocks(name)).rejects.toMatchObject(expected)
    await expect(model.weights.read('model.norm.weight')).resolves.toBeDefined()
    await model.close()
  })

  it('larger than the free memory is refused before its weights are read, with both sizes', async () => {
    const path = await write()
    const bytes = tensors.reduce((sum, { data }) => sum + data.length, 0)
    const memory = { freeBytes: bytes - 1, format: 'f32' } as const
    const expected = { code: 'MODEL_TOO_LARGE', facts: { neededBytes: bytes, freeBytes: bytes - 1 } }
    await expect(openModel(path, { memory })).rejects.toMatchObject(expected)
    const model = await openModel(path, { memory: { ...memory, freeBytes: bytes } })
    await model.close()
  })
})
