import { type CausalLmConfig, type Parameter, type Parameters, parameterShapes } from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { copyFile, mkdir, readFile, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { configJson, parseConfig, parseGenerationEosTokenIds } from './config-json.js'
import { readChatTemplate } from './chat-template.js'
import { fingerprintModel, hashTokenizer } from './model-fingerprint.js'
import { checkShape, missingTensor, readRequired, writeTensors, writeWhole } from './tensor-file.js'
import { type FloatDtype, floatTensor, toFloats } from './tensor.js'
import { WeightFiles } from './weight-files.js'

/** What a Hugging Face model directory says about the model, without its weights. */
export interface ModelDescription {
  /** The directory's own name. */
  readonly modelId: string
  readonly config: CausalLmConfig
  readonly tokenizerPath: string
  /** See fingerprintModel. */
  readonly fingerprint: string
  /** See hashTokenizer. */
  readonly tokenizerHash: string
  /** The model's own Jinja template, as text. It is not rendered: see renderChat. */
  readonly chatTemplate?: string
}

export interface Model extends ModelDescription {
  readonly parameters: Parameters
}

/** Reads and checks a whole model. F16 and BF16 weights come as 32-bit floats. Throws PlateauError. */
export async function readModelDirectory(directory: string): Promise<Model> {
  const description = await describeModelDirectory(directory)
  return { ...description, parameters: await readAll(directory, description.config) }
}

/** Everything but the weights. Reads the weight files once, for the fingerprint. */
export async function describeModelDirectory(directory: string): Promise<ModelDescription> {
  const config = await readModelConfig(directory)
  const chatTemplate = await readChatTemplate(directory)
  const tokenizerPath = join(directory, 'tokenizer.json')
  return {
    modelId: basename(resolve(directory)),
    config,
    tokenizerPath,
    fingerprint: await fingerprintModel(directory),
    tokenizerHash: await hashTokenizer(directory),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  }
}

export async function readModelConfig(directory: string): Promise<CausalLmConfig> {
  await checkDirectory(directory)
  const path = join(directory, 'config.json')
  const config = parseConfig((await readRequired(path)).toString('utf8'), path)
  return { ...config, eosTokenIds: [...new Set([...config.eosTokenIds, ...(await generationEosTokenIds(directory))])] }
}

/** Only these parameters, checked against the configuration: the embedding and the head are all that a draft needs. */
export async function readParameters(directory: string, names: Iterable<string>): Promise<Parameters> {
  const shapes = parameterShapes(await readModelConfig(directory))
  const weights = await WeightFiles.open(directory)
  try {
    const parameters = new Map<string, Parameter>()
    for (const name of names) parameters.set(name, await readParameter(weights, name, shapes.get(name)))
    return parameters
  } finally {
    await weights.close()
  }
}

export interface WriteOptions {
  /** A model directory whose tokenizer.json and tokenizer_config.json are copied along. */
  readonly tokenizerFrom?: string
}

/** Writes config.json and model.safetensors; makes the directory. Each file appears whole or not at all. */
export async function writeModelDirectory(
  directory: string,
  config: CausalLmConfig,
  parameters: Parameters,
  dtype: FloatDtype,
  options: WriteOptions = {},
): Promise<void> {
  const path = join(directory, 'model.safetensors')
  const tensors = [...parameterShapes(config)].map(([name, shape]) => {
    const parameter = parameters.get(name)
    if (parameter === undefined) throw missingTensor(`what is to be written to ${path}`, name)
    checkShape(`what is to be written to ${path}`, name, shape, parameter.shape)
    return [name, floatTensor(shape, parameter.data, dtype)] as const
  })
  await mkdir(directory, { recursive: true })
  // Readers of the format take its absence for a file of another framework.
  await writeTensors(path, new Map(tensors), { format: 'pt' })
  await writeWhole(join(directory, 'config.json'), configJson(config, dtype))
  if (options.tokenizerFrom === undefined) return
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) {
    await copyFile(join(options.tokenizerFrom, file), join(directory, file))
  }
}

async function readAll(directory: string, config: CausalLmConfig): Promise<Parameters> {
  const shapes = parameterShapes(config)
  const weights = await WeightFiles.open(directory)
  try {
    refuseUnknown(directory, weights.names, shapes, config)
    const parameters = new Map<string, Parameter>()
    for (const [name, shape] of shapes) parameters.set(name, await readParameter(weights, name, shape))
    return parameters
  } finally {
    await weights.close()
  }
}

/** A weight that the configuration has no place for (a bias, an adapter) would be left out of the arithmetic. */
function refuseUnknown(
  directory: string,
  names: readonly string[],
  shapes: ReadonlyMap<string, readonly number[]>,
  { tieEmbeddings }: CausalLmConfig,
): void {
  const harmless = (name: string): boolean =>
    name.endsWith('.rotary_emb.inv_freq') || (tieEmbeddings && name === 'lm_head.weight')
  const unknown = names.find((name) => !shapes.has(name) && !harmless(name))
  if (unknown === undefined) return
  throw new PlateauError(
    'TENSOR_UNEXPECTED',
    `${directory} holds tensor "${unknown}", which a model of its config.json does not have`,
    { facts: { directory, tensor: unknown } },
  )
}

async function readParameter(
  weights: WeightFiles,
  name: string,
  shape: readonly number[] | undefined,
): Promise<Parameter> {
  if (shape === undefined) throw missingTensor('the model that config.json describes', name)
  const tensor = await weights.read(name, shape)
  if (tensor.dtype === 'F64' || tensor.dtype === 'I64') {
    throw new PlateauError('TENSOR_DTYPE', `tensor "${name}" has dtype ${tensor.dtype}; expected F32, F16 or BF16`, {
      facts: { tensor: name, dtype: tensor.dtype },
    })
  }
  return { shape, data: toFloats(tensor) }
}

async function generationEosTokenIds(directory: string): Promise<readonly number[]> {
  const path = join(directory, 'generation_config.json')
  const json = await readFile(path, 'utf8').catch(() => undefined)
  return json === undefined ? [] : parseGenerationEosTokenIds(json, path)
}

async function checkDirectory(directory: string): Promise<void> {
  const found = await stat(directory).catch(() => undefined)
  if (found?.isDirectory()) return
  throw new PlateauError(
    'MODEL_DIRECTORY_UNKNOWN',
    `there is no model directory at ${directory}; it should hold config.json, model.safetensors and tokenizer.json`,
    { facts: { directory } },
  )
}
