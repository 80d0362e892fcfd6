import { type CausalLmConfig, type Parameter, parameterShapes } from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openModel, readModelDirectory, readParameters, writeModelDirectory } from './model-directory.js'
import { encodeSafetensors } from './safetensors.js'
import { TensorFile, writeTensors } from './tensor-file.js'
import { floatTensor, integerTensor, type Tensor } from './tensor.js'

const config: CausalLmConfig = {
  vocabSize: 12,
  hiddenSize: 8,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  intermediateSize: 16,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  maxPositions: 64,
  tieEmbeddings: true,
  bosTokenId: 0,
  eosTokenIds: [0, 2],
}

/** Numbers that 16 bits hold exactly, different everywhere. */
function parametersOf(of: CausalLmConfig): Map<string, Parameter> {
  let next = 0
  return new Map(
    [...parameterShapes(of)].map(([name, shape]) => {
      const length = shape.reduce((product, size) => product * size, 1)
      return [name, { shape, data: Float32Array.from({ length }, () => (next++ % 201) / 128 - 0.5) }]
    }),
  )
}

const parameters = parametersOf(config)
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plateau-model-'))
  await writeModelDirectory(directory, config, parameters, 'F16')
  await writeFile(join(directory, 'tokenizer.json'), '{}')
})
afterEach(async () => rm(directory, { recursive: true }))

const weights = (): string => join(directory, 'model.safetensors')

async function patchConfig(change: object): Promise<void> {
  const path = join(directory, 'config.json')
  const fields = JSON.parse(await readFile(path, 'utf8')) as object
  await writeFile(path, JSON.stringify({ ...fields, ...change }))
}

/** The model's tensors, to write in another way. */
async function tensors(): Promise<Map<string, Tensor>> {
  const file = await TensorFile.open(weights())
  const read = new Map<string, Tensor>()
  for (const name of file.names) read.set(name, await file.read(name))
  await file.close()
  return read
}

describe('a model directory', () => {
  it.each(['F32', 'F16', 'BF16'] as const)('gives back what was written as %s', async (dtype) => {
    await writeModelDirectory(directory, config, parameters, dtype)
    const model = await readModelDirectory(directory)
    expect(model.config).toEqual(config)
    expect([...model.parameters.keys()]).toEqual([...parameterShapes(config).keys()])
    for (const [name, { shape, data }] of parameters) expect(model.parameters.get(name)).toEqual({ shape, data })
  })

  it('leaves no partial files behind, and copies a tokenizer when asked', async () => {
    await writeFile(join(directory, 'tokenizer_config.json'), '{"chat_template":"{{ x }}"}')
    const copy = join(directory, 'copy')
    await writeModelDirectory(copy, config, parameters, 'F16', { tokenizerFrom: directory })
    const names = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']
    expect((await readdir(copy)).toSorted()).toEqual(names)
    expect(await readModelDirectory(copy)).toMatchObject({ modelId: 'copy', chatTemplate: '{{ x }}' })
  })

  it('has the documented fingerprint and tokenizer hash', async () => {
    const hash = createHash('sha256')
    for (const name of ['config.json', 'model.safetensors']) {
      const bytes = await readFile(join(directory, name))
      hash.update(`${name}\n${bytes.length}\n`).update(bytes)
    }
    const model = await readModelDirectory(directory)
    expect(model.fingerprint).toBe(hash.digest('hex'))
    expect(model.tokenizerHash).toBe(createHash('sha256').update('{}').digest('hex'))
  })

  it('has another fingerprint when one weight or one setting differs', async () => {
    const { fingerprint } = await readModelDirectory(directory)
    await patchConfig({ rope_theta: 10_001 })
    const changed = await readModelDirectory(directory)
    expect(changed.fingerprint).not.toBe(fingerprint)
    const bytes = await readFile(weights())
    await writeFile(weights(), bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1))
    expect((await readModelDirectory(directory)).fingerprint).not.toBe(changed.fingerprint)
  })

  it('adds the end tokens of generation_config.json', async () => {
    await writeFile(join(directory, 'generation_config.json'), '{"eos_token_id":[2,5]}')
    expect((await readModelDirectory(directory)).config.eosTokenIds).toEqual([0, 2, 5])
  })

  it('is read from shards as from one file', async () => {
    const all = [...(await tensors())]
    const shards = {
      'model-00001-of-00002.safetensors': all.slice(0, 9),
      'model-00002-of-00002.safetensors': all.slice(9),
    }
    for (const [name, part] of Object.entries(shards)) await writeTensors(join(directory, name), new Map(part))
    const map = Object.entries(shards).flatMap(([name, part]) => part.map(([tensor]) => [tensor, name]))
    const index = join(directory, 'model.safetensors.index.json')
    await writeFile(index, JSON.stringify({ metadata: {}, weight_map: Object.fromEntries(map) as object }))
    await rm(weights())
    expect((await readModelDirectory(directory)).parameters).toEqual(parameters)

    await rename(join(directory, 'model-00002-of-00002.safetensors'), join(directory, 'elsewhere.safetensors'))
    await expect(readModelDirectory(directory)).rejects.toMatchObject({ code: 'MODEL_FILE_MISSING' })
    await writeFile(index, JSON.stringify({ weight_map: { 'model.norm.weight': '../model.safetensors' } }))
    await expect(readModelDirectory(directory)).rejects.toMatchObject({ code: 'MODEL_FILE_INVALID' })
    await writeFile(index, JSON.stringify({ weight_map: { nothing: 'model-00001-of-00002.safetensors' } }))
    await expect(readModelDirectory(directory)).rejects.toMatchObject({ code: 'TENSOR_MISSING' })
  })

  it('reads single parameters, and refuses names that the model does not have', async () => {
    const read = await readParameters(directory, ['model.embed_tokens.weight', 'model.norm.weight'])
    expect([...read.keys()]).toEqual(['model.embed_tokens.weight', 'model.norm.weight'])
    expect(read.get('model.norm.weight')).toEqual(parameters.get('model.norm.weight'))
    await expect(readParameters(directory, ['lm_head.weight'])).rejects.toMatchObject({ code: 'TENSOR_MISSING' })
  })
})

describe('a broken model directory', () => {
  it('is named when it is not there at all', async () => {
    const nowhere = join(directory, 'nowhere')
    await expect(readModelDirectory(nowhere)).rejects.toMatchObject({
      code: 'MODEL_DIRECTORY_UNKNOWN',
      facts: { directory: nowhere },
    })
  })

  it.each(['config.json', 'model.safetensors', 'tokenizer.json'])('is told apart when %s is missing', async (name) => {
    await rm(join(directory, name))
    const facts = { file: join(directory, name) }
    await expect(readModelDirectory(directory)).rejects.toMatchObject({ code: 'MODEL_FILE_MISSING', facts })
  })

  it('is called truncated when the weights end early, in the length, the header or the data', async () => {
    const { length } = await readFile(weights())
    for (const size of [length - 1, Math.floor(length / 2), 100, 8, 3, 0]) {
      await truncate(weights(), size)
      await expect(readModelDirectory(directory)).rejects.toMatchObject({
        code: 'MODEL_FILE_TRUNCATED',
        facts: { file: weights(), foundBytes: size },
      })
    }
  })

  it('says which tensor is missing', async () => {
    const fewer = await tensors()
    fewer.delete('model.layers.1.mlp.up_proj.weight')
    await writeTensors(weights(), fewer)
    const facts = { tensor: 'model.layers.1.mlp.up_proj.weight', file: weights() }
    await expect(readModelDirectory(directory)).rejects.toMatchObject({ code: 'TENSOR_MISSING', facts })
  })

  it('says which tensor has which wrong shape, also when the number of elements is right', async () => {
    const wrong = await tensors()
    const name = 'model.layers.0.self_attn.k_proj.weight'
    wrong.set(name, { ...wrong.get(name)!, shape: [8, 4] })
    await writeTensors(weights(), wrong)
    await expect(readModelDirectory(directory)).rejects.toMatchObject({
      code: 'TENSOR_SHAPE',
      facts: { tensor: name, expectedShape: '[4, 8]', foundShape: '[8, 4]' },
    })
  })

  it('is refused when it holds weights that would be left out of the arithmetic', async () => {
    const more = await tensors()
    more.set('model.layers.0.self_attn.q_proj.bias', floatTensor([8], new Float32Array(8)))
    await writeTensors(weights(), more)
    const facts = { tensor: 'model.layers.0.self_attn.q_proj.bias' }
    await expect(readModelDirectory(directory)).rejects.toMatchObject({ code: 'TENSOR_UNEXPECTED', facts })
  })

  it('is accepted with a redundant head or rotary table', async () => {
    const more = await tensors()
    more.set('lm_head.weight', more.get('model.embed_tokens.weight')!)
    more.set('model.layers.0.self_attn.rotary_emb.inv_freq', floatTensor([2], Float32Array.of(1, 0.01)))
    await writeTensors(weights(), more)
    expect((await readModelDirectory(directory)).parameters).toEqual(parameters)
  })

  it('is refused when a weight is not a float', async () => {
    const wrong = await tensors()
    wrong.set('model.norm.weight', integerTensor([8], new BigInt64Array(8)))
    await writeTensors(weights(), wrong)
    const facts = { tensor: 'model.norm.weight', dtype: 'I64' }
    await expect(readModelDirectory(directory)).rejects.toMatchObject({ code: 'TENSOR_DTYPE', facts })
  })

  it('is refused when a weight is no number, naming the tensor, however it is read', async () => {
    const wrong = await tensors()
    const { shape } = wrong.get('model.norm.weight')!
    wrong.set('model.norm.weight', floatTensor(shape, Float32Array.of(1, 1, NaN, 1, 1, 1, 1, 1), 'BF16'))
    await writeTensors(weights(), wrong)
    const expected = { code: 'TENSOR_NOT_FINITE', facts: { tensor: 'model.norm.weight', index: 2 } }
    await expect(readModelDirectory(directory)).rejects.toMatchObject(expected)
    const model = await openModel(directory)
    await expect(model.weights.read('model.norm.weight')).rejects.toMatchObject(expected)
    await model.close()
  })

  it('is refused when its tokenizer has tokens that the model has no embedding for', async () => {
    const vocab = { a: 0, b: 12 }
    await writeFile(join(directory, 'tokenizer.json'), JSON.stringify({ model: { type: 'BPE', vocab, merges: [] } }))
    const facts = { tokenId: 12, embeddings: 12 }
    await expect(readModelDirectory(directory)).rejects.toMatchObject({ code: 'TOKENIZER_MISMATCH', facts })
  })

  it('is never written: missing and misshapen parameters are named first', async () => {
    const target = join(directory, 'new')
    const fewer = new Map(parameters)
    fewer.delete('model.norm.weight')
    await expect(writeModelDirectory(target, config, fewer, 'F16')).rejects.toMatchObject({ code: 'TENSOR_MISSING' })
    fewer.set('model.norm.weight', { shape: [7], data: new Float32Array(7) })
    await expect(writeModelDirectory(target, config, fewer, 'F16')).rejects.toMatchObject({ code: 'TENSOR_SHAPE' })
    await expect(readModelDirectory(target)).rejects.toMatchObject({ code: 'MODEL_DIRECTORY_UNKNOWN' })
  })

  it('gives a clear error for a flipped bit anywhere in the header', async () => {
    const bytes = encodeSafetensors(await tensors())
    const headerEnd = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true))
    for (let at = 0; at < headerEnd; at += 7) {
      await writeFile(weights(), bytes.with(at, bytes[at]! ^ 4))
      const outcome = await readModelDirectory(directory).then(
        // A changed blank or such: the tensors must still be the same.
        (model) => model.parameters,
        (error: unknown) => error,
      )
      expect(outcome instanceof PlateauError || isDeepStrictEqual(outcome, parameters)).toBe(true)
    }
  })
})
