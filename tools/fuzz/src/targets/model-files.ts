import { loadTokenizer, openModel } from '@plateau/model-files'
import fc, { type Arbitrary } from 'fast-check'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FuzzTarget } from '../fuzz-target.js'
import { deepJson, jsonWith } from '../json-values.js'
import { accepted } from '../refusal.js'
import { repositoryFile } from '../repository.js'

/** Of readers of model files: the file, what is missing in it, its numbers, its tokenizer. */
const CODES = [
  'MODEL_DIRECTORY_UNKNOWN',
  'MODEL_FILE_INVALID',
  'MODEL_FILE_MISSING',
  'MODEL_FILE_TRUNCATED',
  'MODEL_CONFIG_INVALID',
  'TENSOR_SHAPE',
  'TENSOR_UNEXPECTED',
  'TENSOR_NOT_FINITE',
  'TOKENIZER_MISMATCH',
  'MODEL_UNSUPPORTED',
  'TENSOR_DTYPE',
  'TENSOR_MISSING',
  'TOKENIZER_INVALID',
  'TOKENIZER_UNSUPPORTED',
]

const goldens = 'libs/model-files/goldens'

/** One file of a model that is otherwise whole. */
interface Part {
  readonly name: string
  readonly summary: string
  /** Files of the repository to change. */
  readonly seeds: readonly string[]
  /** Directory of the repository that the rest of the model is in; undefined: the file is all there is. */
  readonly rest?: string
  readonly as: string
  readonly generated?: Arbitrary<Uint8Array>
  readonly shortRuns: number
  /** Opens what lies at a path as a service does, and looks at all of it. */
  readonly open: (path: string) => Promise<void>
}

const parts: readonly Part[] = [
  {
    name: 'gguf',
    summary: 'GGUF files: header, metadata, tensors, tokenizer',
    seeds: ['llama-2-quantised', 'llama-3', 'qwen2', 'qwen3'].map((name) => `${goldens}/gguf/${name}.gguf`),
    as: 'model.gguf',
    shortRuns: 250,
    open: async (path) => {
      await readWeights(join(path, 'model.gguf'))
      await loadTokenizer(join(path, 'model.gguf'))
    },
  },
  {
    name: 'safetensors',
    summary: 'safetensors files of a Hugging Face directory: header, offsets, numbers',
    seeds: [`${goldens}/families/llama-3/model.safetensors`],
    rest: `${goldens}/families/llama-3`,
    as: 'model.safetensors',
    shortRuns: 250,
    open: readWeights,
  },
  {
    name: 'config-json',
    summary: 'config.json of a Hugging Face directory',
    // The others do not fit its weights, and would be refused however they are changed.
    seeds: [`${goldens}/families/llama-3/config.json`],
    rest: `${goldens}/families/llama-3`,
    as: 'config.json',
    generated: fc.oneof(
      deepJson,
      jsonWith([
        'model_type',
        'hidden_size',
        'num_hidden_layers',
        'num_attention_heads',
        'num_key_value_heads',
        'head_dim',
        'intermediate_size',
        'vocab_size',
        'rms_norm_eps',
        'rope_theta',
        'rope_scaling',
        'max_position_embeddings',
      ]),
    ),
    shortRuns: 300,
    open: readWeights,
  },
  {
    name: 'tokenizer-json',
    summary: 'tokenizer.json of a Hugging Face directory',
    seeds: ['models/tiny-target/tokenizer.json'],
    rest: 'models/tiny-target',
    as: 'tokenizer.json',
    generated: fc.oneof(deepJson, jsonWith(['model', 'vocab', 'merges', 'added_tokens', 'decoder', 'pre_tokenizer'])),
    shortRuns: 60,
    open: async (path) => {
      const tokenizer = await loadTokenizer(path)
      tokenizer.decode(tokenizer.encode('The state of the Union'))
    },
  },
]

export const modelFileTargets: readonly FuzzTarget[] = parts.map((part) => ({
  name: part.name,
  summary: part.summary,
  limits: { inputMs: 2000, memoryMiB: 96, inputBytes: 2 ** 20 },
  shortRuns: part.shortRuns,
  open: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'plateau-fuzz-'))
    if (part.rest !== undefined) await cp(repositoryFile(part.rest), directory, { recursive: true })
    return {
      corpus: await Promise.all(part.seeds.map((seed) => readFile(repositoryFile(seed)))),
      ...(part.generated === undefined ? {} : { generated: part.generated }),
      run: async (input) => {
        await writeFile(join(directory, part.as), input)
        return accepted(CODES, () => part.open(directory))
      },
      close: () => rm(directory, { recursive: true, force: true }),
    }
  },
}))

/** What opens must be whole: every weight with its shape and finite numbers. */
async function readWeights(path: string): Promise<void> {
  const { weights, ...opened } = await openModel(path)
  try {
    for (const name of weights.names) {
      const { shape, data } = await weights.read(name)
      if (data.length !== shape.reduce((count, size) => count * size, 1)) throw new Error(`${name} has not its shape`)
      if (!data.every(Number.isFinite)) throw new Error(`${name} has numbers that are not finite`)
      await weights.readBlocks(name)
    }
  } finally {
    await opened.close()
  }
}
