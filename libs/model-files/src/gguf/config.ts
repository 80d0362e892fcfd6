import type { CausalLmConfig, ModelFamily, RopeScaling } from '@plateau/causal-lm'
import { maxLayers } from '../config-json.js'
import { invalidGguf, unsupportedGguf } from './errors.js'
import type { GgufHeader, GgufValue } from './header.js'

/** By general.architecture. "llama" stands for Mistral too. */
const families: ReadonlyMap<string, ModelFamily> = new Map([
  ['llama', 'llama'],
  ['qwen2', 'qwen2'],
  ['qwen3', 'qwen3'],
])

/** Tokens that end a turn or a text, in the words of the chat formats that these families use. */
const endTokens = ['<|im_end|>', '<|endoftext|>', '<|eot_id|>', '<|eom_id|>', '<|end_of_text|>', '</s>']
const controlToken = 3

/**
 * The configuration in a GGUF file's metadata and tensors, as llama.cpp reads it. Throws MODEL_UNSUPPORTED naming what is
 * not built, MODEL_FILE_INVALID for what is missing or contradicts itself. `rope` is the content of rope_freqs.weight.
 */
export function ggufConfig(header: GgufHeader, file: string, rope: readonly number[] | undefined): CausalLmConfig {
  const fields = new Metadata(header.metadata, file)
  const architecture = fields.text('general.architecture')
  const family = families.get(architecture)
  if (family === undefined) {
    const known = [...families.keys()].map((name) => `"${name}"`).join(', ')
    throw unsupportedGguf(file, `architecture "${architecture}" is not supported, only ${known}`)
  }
  const key = (name: string): string => `${architecture}.${name}`
  refuseUnsupported(fields, key, file)

  const hiddenSize = fields.size(key('embedding_length'))
  const heads = fields.size(key('attention.head_count'))
  const headDim = fields.size(key('attention.key_length'), Math.floor(hiddenSize / heads))
  const slidingWindow = fields.optionalSize(key('attention.sliding_window'))
  const has = (tensor: string): boolean => header.tensors.has(tensor)
  const ropeScaling = scalingOf(fields, key, headDim, rope)
  const bos = fields.tokenId('tokenizer.ggml.bos_token_id')
  const config: CausalLmConfig = {
    family: slidingWindow !== undefined && family === 'llama' ? 'mistral' : family,
    vocabSize: vocabSizeOf(header, fields, key, file),
    hiddenSize,
    layers: fields.size(key('block_count'), undefined, maxLayers),
    heads,
    kvHeads: fields.size(key('attention.head_count_kv'), heads),
    headDim,
    intermediateSize: fields.size(key('feed_forward_length')),
    rmsNormEps: fields.positive(key('attention.layer_norm_rms_epsilon')),
    ropeTheta: fields.positive(key('rope.freq_base'), 10_000),
    ...(ropeScaling === undefined ? {} : { ropeScaling }),
    ...(has('blk.0.attn_q.bias') ? { attentionBias: true } : {}),
    ...(has('blk.0.attn_q_norm.weight') ? { qkNorm: true } : {}),
    ...(slidingWindow === undefined ? {} : { slidingWindow }),
    maxPositions: fields.size(key('context_length')),
    tieEmbeddings: !has('output.weight'),
    bosTokenId: bos,
    eosTokenIds: endTokenIds(fields),
  }
  if (heads % config.kvHeads !== 0) {
    throw invalidGguf(file, `${heads} heads cannot share ${config.kvHeads} key and value heads`)
  }
  fields.requireEqual(key('rope.dimension_count'), headDim)
  fields.requireEqual(key('attention.value_length'), headDim)
  return config
}

function refuseUnsupported(fields: Metadata, key: (name: string) => string, file: string): void {
  // Each would change the arithmetic; what stands beside it is how these families are without it.
  const harmless: readonly (readonly [string, number | boolean])[] = [
    ['expert_count', 0],
    ['attention.scale', 0],
    ['attention.causal', true],
    ['attn_logit_softcapping', 0],
    ['final_logit_softcapping', 0],
    ['attention.clamp_kqv', 0],
    ['logit_scale', 1],
    ['residual_scale', 1],
    ['embedding_scale', 1],
  ]
  for (const [name, value] of harmless) {
    const found = fields.get(key(name))
    if (found !== undefined && found !== value) {
      throw unsupportedGguf(file, `${key(name)} ${String(found)} is not supported, only ${String(value)}`)
    }
  }
  const parts = fields.get('split.count')
  if (typeof parts === 'number' && parts > 1) {
    throw unsupportedGguf(file, `it is one of ${parts} parts; join them first (llama-gguf-split --merge)`)
  }
}

function vocabSizeOf(header: GgufHeader, fields: Metadata, key: (name: string) => string, file: string): number {
  const embeddings = header.tensors.get('token_embd.weight')
  const rows = embeddings?.shape[0] ?? fields.size(key('vocab_size'))
  const tokens = fields.get('tokenizer.ggml.tokens')
  if (Array.isArray(tokens) && tokens.length > rows) {
    const problem = `its tokenizer has ${tokens.length} tokens, and tensor "token_embd.weight" rows for ${rows}`
    throw invalidGguf(file, problem, { tensor: 'token_embd.weight' })
  }
  return rows
}

function scalingOf(
  fields: Metadata,
  key: (name: string) => string,
  headDim: number,
  rope: readonly number[] | undefined,
): RopeScaling | undefined {
  // Older files have a factor without a kind.
  const kind = fields.get(key('rope.scaling.type')) ?? 'linear'
  if (kind !== 'none' && kind !== 'linear') {
    throw unsupportedGguf(fields.file, `${key('rope.scaling.type')} "${String(kind)}" is not supported, only "linear"`)
  }
  const named = fields.positive(key('rope.scaling.factor'), fields.positive(key('rope.scale_linear'), 1))
  const factor = kind === 'linear' ? named : 1
  if (rope === undefined) return factor === 1 ? undefined : { kind: 'linear', factor }
  if (factor !== 1) {
    throw unsupportedGguf(fields.file, `rope_freqs.weight together with ${key('rope.scaling.factor')} ${factor}`)
  }
  if (rope.length !== headDim / 2 || !rope.every((value) => value > 0 && Number.isFinite(value))) {
    const problem = `tensor "rope_freqs.weight" does not hold ${headDim / 2} positive factors`
    throw invalidGguf(fields.file, problem, { tensor: 'rope_freqs.weight' })
  }
  return { kind: 'factors', factors: rope }
}

/** The ids that the file names as ends, and control tokens with an end's usual name. */
function endTokenIds(fields: Metadata): readonly number[] {
  const named = ['eos', 'eot', 'eom'].map((kind) => fields.tokenId(`tokenizer.ggml.${kind}_token_id`))
  const [tokens, types] = [fields.get('tokenizer.ggml.tokens'), fields.get('tokenizer.ggml.token_type')]
  const usual =
    Array.isArray(tokens) && Array.isArray(types)
      ? endTokens.map((token) => tokens.indexOf(token)).filter((id) => id >= 0 && types[id] === controlToken)
      : []
  return [...new Set([...named.filter((id) => id !== undefined), ...usual])]
}

/** Metadata by key, checked where it is read. */
class Metadata {
  constructor(
    private readonly values: ReadonlyMap<string, GgufValue>,
    readonly file: string,
  ) {}

  get(key: string): GgufValue | undefined {
    return this.values.get(key)
  }

  text(key: string): string {
    const value = this.get(key)
    if (typeof value === 'string') return value
    throw this.malformed(key, 'a text')
  }

  size(key: string, otherwise?: number, most = 2 ** 31): number {
    const value = this.get(key) ?? otherwise
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0 && value <= most) return value
    throw this.malformed(key, `one positive integer up to ${most}`)
  }

  /** Zero stands for none. */
  optionalSize(key: string): number | undefined {
    return (this.get(key) ?? 0) === 0 ? undefined : this.size(key)
  }

  positive(key: string, otherwise?: number): number {
    const value = this.get(key) ?? otherwise
    if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value
    throw this.malformed(key, 'a positive number')
  }

  tokenId(key: string): number | undefined {
    const value = this.get(key)
    // llama.cpp writes -1, as an unsigned number, for none.
    if (value === undefined || value === 0xffffffff) return undefined
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    throw this.malformed(key, 'a token id')
  }

  requireEqual(key: string, expected: number): void {
    const found = this.get(key)
    if (found === undefined || found === expected) return
    throw unsupportedGguf(this.file, `${key} ${String(found)} is not supported where a head has ${expected} dimensions`)
  }

  private malformed(key: string, expected: string): Error {
    const value = this.get(key)
    const found = value === undefined ? 'it is missing' : `it is ${Array.isArray(value) ? 'a list' : String(value)}`
    return invalidGguf(this.file, `${key} must be ${expected}; ${found}`, { key })
  }
}
