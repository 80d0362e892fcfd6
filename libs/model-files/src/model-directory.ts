import {
  type CausalLmConfig,
  type Parameter,
  type Parameters,
  parameterShapes,
  type WeightSource,
} from '@plateau/causal-lm'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { configJson } from './config-json.js'
import { openGguf } from './gguf/open-gguf.js'
import { openHuggingFace } from './hugging-face.js'
import { hashTokenizer } from './model-fingerprint.js'
import { locateModel } from './model-location.js'
import { requireEmbeddings } from './vocabulary.js'
import type { ModelFormat, OpenedModel, StoredTensor } from './opened-model.js'
import { checkShape, missingTensor, writeTensors, writeWhole } from './tensor-file.js'
import { type FloatDtype, floatTensor } from './tensor.js'
import { type MemoryLimit, requireMemory } from './weight-memory.js'

/** What a model's files say about it, without its weights. */
export interface ModelDescription {
  /** The name of its directory, or of its GGUF file without the ending. */
  readonly modelId: string
  readonly format: ModelFormat
  readonly config: CausalLmConfig
  /** How many weights it has. */
  readonly parameterCount: number
  /** How each of them is stored. */
  readonly storedTensors: readonly StoredTensor[]
  /** The bytes of tokenizer.json; for a GGUF file, of the one made from what it carries. */
  readonly tokenizerJson: Uint8Array
  /** See fingerprintModel and fingerprintFile. */
  readonly fingerprint: string
  /** See hashTokenizer. */
  readonly tokenizerHash: string
  /** The model's own Jinja template, as text: see renderChat. */
  readonly chatTemplate?: string
}

export interface Model extends ModelDescription {
  readonly parameters: Parameters
}

export interface OpenOptions {
  /** Given: a model that does not fit is refused (MODEL_TOO_LARGE) before any weight is read. */
  readonly memory?: MemoryLimit
}

/**
 * Opens a Hugging Face directory, a GGUF file, or a directory with exactly one. Headers are checked against the
 * configuration at once, each tensor's numbers when it is read. Throws PlateauError; the caller closes.
 */
export async function openModel(
  path: string,
  { memory }: OpenOptions = {},
): Promise<{ description: ModelDescription; weights: WeightSource; close(): Promise<void> }> {
  const opened = await openFiles(path)
  try {
    if (memory !== undefined) requireMemory(path, opened.storedTensors, memory)
    return { description: await describe(opened), weights: opened.weights, close: () => opened.close() }
  } catch (thrown) {
    await opened.close()
    throw thrown
  }
}

/** Everything but the weights. Reads the weight files once, for the fingerprint. */
export async function describeModelDirectory(path: string): Promise<ModelDescription> {
  return withFiles(path, describe)
}

/** Reads and checks a whole model; its weights come as 32-bit floats. */
export async function readModelDirectory(path: string): Promise<Model> {
  return withFiles(path, async (opened) => ({
    ...(await describe(opened)),
    parameters: await readAll(opened.weights, opened.weights.names),
  }))
}

/** Only these parameters: the embedding and the head are all that a draft needs. */
export async function readParameters(path: string, names: Iterable<string>): Promise<Parameters> {
  return withFiles(path, ({ weights }) => readAll(weights, names))
}

export interface WriteOptions {
  /** A Hugging Face directory whose tokenizer.json and tokenizer_config.json are copied along. */
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

async function openFiles(path: string): Promise<OpenedModel> {
  const location = await locateModel(path)
  return location.kind === 'gguf' ? openGguf(location.file) : openHuggingFace(location.directory)
}

async function withFiles<T>(path: string, work: (opened: OpenedModel) => Promise<T>): Promise<T> {
  const opened = await openFiles(path)
  try {
    return await work(opened)
  } finally {
    await opened.close()
  }
}

async function describe(opened: OpenedModel): Promise<ModelDescription> {
  const { modelId, format, config, storedTensors, chatTemplate } = opened
  const { json, path } = await opened.tokenizerFiles()
  requireEmbeddings(json, path, config.vocabSize)
  return {
    modelId,
    format,
    config,
    parameterCount: storedTensors.reduce((sum, { elements }) => sum + elements, 0),
    storedTensors,
    tokenizerJson: json,
    tokenizerHash: hashTokenizer(json),
    fingerprint: await opened.fingerprint(),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  }
}

async function readAll(weights: WeightSource, names: Iterable<string>): Promise<Parameters> {
  const parameters = new Map<string, Parameter>()
  for (const name of names) parameters.set(name, await weights.read(name))
  return parameters
}
