import { type CausalLmConfig, type Parameter, parameterShapes, type WeightSource } from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { readFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { readChatTemplate } from './chat-template.js'
import { parseConfig, parseGenerationEosTokenIds } from './config-json.js'
import { checkFinite } from './finite.js'
import { parseJsonObject } from './json-object.js'
import { fingerprintModel } from './model-fingerprint.js'
import type { OpenedModel, TokenizerFiles } from './opened-model.js'
import { checkShape, missingTensor, readRequired, unexpectedTensor } from './tensor-file.js'
import { elementCount, toFloats } from './tensor.js'
import { WeightFiles } from './weight-files.js'

/** A directory as the hub has it: config.json, model.safetensors or its shards, tokenizer.json. */
export async function openHuggingFace(directory: string): Promise<OpenedModel> {
  const config = await readConfig(directory)
  const files = await WeightFiles.open(directory)
  try {
    const shapes = parameterShapes(config)
    checkNames(directory, files, shapes, config)
    return {
      modelId: basename(resolve(directory)),
      format: 'safetensors',
      config,
      weights: weightsOf(files, shapes),
      storedTensors: [...shapes.keys()].map((name) => {
        const { dtype, shape, begin, end } = files.entry(name)
        return { name, type: dtype, elements: elementCount(shape), bytes: end - begin, isMatrix: shape.length === 2 }
      }),
      chatTemplate: await readChatTemplate(directory),
      tokenizerFiles: () => readTokenizerFiles(directory),
      fingerprint: () => fingerprintModel(directory),
      close: () => files.close(),
    }
  } catch (thrown) {
    await files.close()
    throw thrown
  }
}

export async function readTokenizerFiles(directory: string): Promise<TokenizerFiles> {
  const path = join(directory, 'tokenizer.json')
  const json = await readRequired(path)
  const configPath = join(directory, 'tokenizer_config.json')
  const config = await readFile(configPath, 'utf8').catch(() => '{}')
  return { path, json, config: parseJsonObject(config, configPath, 'TOKENIZER_INVALID') }
}

async function readConfig(directory: string): Promise<CausalLmConfig> {
  const path = join(directory, 'config.json')
  const config = parseConfig((await readRequired(path)).toString('utf8'), path)
  return { ...config, eosTokenIds: [...new Set([...config.eosTokenIds, ...(await generationEosTokenIds(directory))])] }
}

async function generationEosTokenIds(directory: string): Promise<readonly number[]> {
  const path = join(directory, 'generation_config.json')
  const json = await readFile(path, 'utf8').catch(() => undefined)
  return json === undefined ? [] : parseGenerationEosTokenIds(json, path)
}

type Shapes = ReadonlyMap<string, readonly number[]>

/** Every weight is there with its shape and as a float, and none is left over. */
function checkNames(directory: string, files: WeightFiles, shapes: Shapes, { tieEmbeddings }: CausalLmConfig): void {
  for (const [name, expected] of shapes) {
    const { dtype, shape } = files.entry(name)
    checkShape(directory, name, expected, shape)
    if (dtype === 'F32' || dtype === 'F16' || dtype === 'BF16') continue
    throw new PlateauError('TENSOR_DTYPE', `tensor "${name}" has dtype ${dtype}; expected F32, F16 or BF16`, {
      facts: { tensor: name, dtype },
    })
  }
  const isHarmless = (name: string): boolean =>
    name.endsWith('.rotary_emb.inv_freq') || (tieEmbeddings && name === 'lm_head.weight')
  const unknown = files.names.find((name) => !shapes.has(name) && !isHarmless(name))
  if (unknown !== undefined) throw unexpectedTensor(directory, unknown)
}

function weightsOf(files: WeightFiles, shapes: Shapes): WeightSource {
  return {
    names: [...shapes.keys()],
    async read(name): Promise<Parameter> {
      const shape = shapes.get(name)
      if (shape === undefined) throw missingTensor('the model that config.json describes', name)
      const data = toFloats(await files.read(name, shape))
      checkFinite(data, name, files.place)
      return { shape, data }
    },
    readBlocks: () => Promise.resolve(undefined),
  }
}
