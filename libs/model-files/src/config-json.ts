import type { CausalLmConfig, ModelFamily } from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { ConfigFields, show } from './config-fields.js'
import { isJsonObject, parseJsonObject } from './json-object.js'
import { readRope, ropeScalingJson } from './rope-json.js'
import type { FloatDtype } from './tensor.js'

/**
 * A Hugging Face config.json of the Llama family and its relatives, with transformers' defaults for what it leaves out.
 * Everything that would change the arithmetic and that we do not build is refused: a model that loads must be the model.
 */
export function parseConfig(json: string, file: string): CausalLmConfig {
  const fields = new ConfigFields(parseJsonObject(json, file, 'MODEL_CONFIG_INVALID'))
  const family = familyOf(fields)
  const defaults = familyDefaults[family]
  const hiddenSize = fields.size('hidden_size')
  const heads = fields.size('num_attention_heads')
  const layers = fields.size('num_hidden_layers', undefined, maxLayers)
  const slidingWindow = readSlidingWindow(fields, family, layers)
  const config: CausalLmConfig = {
    ...(family === 'llama' ? {} : { family }),
    vocabSize: fields.size('vocab_size'),
    hiddenSize,
    layers,
    heads,
    kvHeads: fields.size('num_key_value_heads', defaults.kvHeads ?? heads),
    headDim: fields.size('head_dim', defaults.headDim ?? Math.max(1, Math.floor(hiddenSize / heads))),
    intermediateSize: fields.size('intermediate_size'),
    rmsNormEps: fields.positive('rms_norm_eps', 1e-6),
    ...readRope(fields),
    ...(family === 'qwen2' ? { attentionBias: true } : {}),
    ...(family === 'qwen3' ? { qkNorm: true } : {}),
    ...(slidingWindow === undefined ? {} : { slidingWindow }),
    maxPositions: fields.size('max_position_embeddings', defaults.maxPositions),
    tieEmbeddings: fields.flag('tie_word_embeddings', false),
    bosTokenId: fields.tokenIds('bos_token_id')[0],
    eosTokenIds: fields.tokenIds('eos_token_id'),
  }
  refuseUnsupported(fields)
  if (heads % config.kvHeads !== 0) {
    fields.problem(`num_attention_heads ${heads} is not a multiple of num_key_value_heads ${config.kvHeads}`)
  }
  if (config.headDim % 2 !== 0) fields.problem(`head_dim ${config.headDim} is odd`)
  if (config.ropeScaling?.kind === 'factors' && config.ropeScaling.factors.length !== config.headDim / 2) {
    fields.problem(`short_factor has ${config.ropeScaling.factors.length} factors for head_dim ${config.headDim}`)
  }
  fields.throwProblems(file)
  return config
}

/** The end tokens of a generation_config.json, which may list more of them than config.json. */
export function parseGenerationEosTokenIds(json: string, file: string): readonly number[] {
  const fields = new ConfigFields(parseJsonObject(json, file, 'MODEL_CONFIG_INVALID'))
  const ids = fields.tokenIds('eos_token_id')
  fields.throwProblems(file)
  return ids
}

/** config.json as transformers, vLLM and SGLang read it. Throws MODEL_UNSUPPORTED for what no family there has. */
export function configJson(config: CausalLmConfig, dtype: FloatDtype): string {
  const family = config.family ?? 'llama'
  requireExpressible(config, family)
  const fields = {
    architectures: [architectures[family]],
    model_type: family,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    hidden_act: 'silu',
    rms_norm_eps: config.rmsNormEps,
    rope_theta: config.ropeTheta,
    ...(config.ropeScaling && { rope_scaling: ropeScalingJson(config.ropeScaling, config.maxPositions) }),
    max_position_embeddings: config.maxPositions,
    tie_word_embeddings: config.tieEmbeddings,
    ...(family === 'qwen2' ? {} : { attention_bias: false }),
    ...(family === 'llama' ? { mlp_bias: false } : slidingWindowJson(config, family)),
    bos_token_id: config.bosTokenId ?? null,
    eos_token_id: config.eosTokenIds.length > 1 ? config.eosTokenIds : (config.eosTokenIds[0] ?? null),
    torch_dtype: { F32: 'float32', F16: 'float16', BF16: 'bfloat16' }[dtype],
  }
  return `${JSON.stringify(fields, null, 2)}\n`
}

const architectures: Readonly<Record<ModelFamily, string>> = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
}

/** Far beyond every model; names of tensors are made for each. */
export const maxLayers = 2 ** 12

/** What transformers takes where a file says nothing. */
const familyDefaults: Readonly<Record<ModelFamily, { kvHeads?: number; headDim?: number; maxPositions: number }>> = {
  llama: { maxPositions: 2048 },
  mistral: { kvHeads: 8, maxPositions: 131_072 },
  qwen2: { kvHeads: 32, maxPositions: 32_768 },
  qwen3: { kvHeads: 32, headDim: 128, maxPositions: 32_768 },
}
const defaultWindow = 4096

function familyOf(fields: ConfigFields): ModelFamily {
  const [listed, modelType] = [fields.get('architectures'), fields.get('model_type')]
  const isNamed = Array.isArray(listed) && listed.length > 0
  for (const [family, architecture] of Object.entries(architectures) as [ModelFamily, string][]) {
    if (isNamed ? listed.includes(architecture) : modelType === family) return family
  }
  const found = show(isNamed ? listed[0] : modelType)
  fields.unsupported(
    `architecture ${found} is not supported, only ${Object.values(architectures).map(show).join(', ')}`,
  )
  return 'llama'
}

/** Mistral has a window unless it says null; Qwen has one where it is switched on, from layer max_window_layers on. */
function readSlidingWindow(fields: ConfigFields, family: ModelFamily, layers: number): number | undefined {
  if (family === 'llama') return undefined
  if (family === 'mistral') {
    return fields.get('sliding_window') === null ? undefined : fields.size('sliding_window', defaultWindow)
  }
  if (!fields.flag('use_sliding_window', false)) return undefined
  const withWindow = windowedLayers(fields, layers)
  if (withWindow > 0 && withWindow < layers) {
    fields.unsupported(`a sliding window in ${withWindow} of ${layers} layers is not supported, only in all or none`)
  }
  return withWindow === 0 ? undefined : fields.size('sliding_window', defaultWindow)
}

function windowedLayers(fields: ConfigFields, layers: number): number {
  const types = fields.get('layer_types')
  if (Array.isArray(types)) return types.filter((type) => type === 'sliding_attention').length
  const without = fields.get('max_window_layers') ?? 28
  return typeof without === 'number' ? Math.max(0, layers - without) : layers
}

function slidingWindowJson({ slidingWindow, layers }: CausalLmConfig, family: ModelFamily): object {
  if (family === 'mistral') return { sliding_window: slidingWindow ?? null }
  const isOn = slidingWindow !== undefined
  return { use_sliding_window: isOn, sliding_window: slidingWindow ?? null, max_window_layers: isOn ? 0 : layers }
}

function refuseUnsupported(fields: ConfigFields): void {
  fields.requireDefault('hidden_act', 'silu')
  // Of queries, keys, values and output; Qwen2 has some without saying so.
  fields.requireDefault('attention_bias', false)
  fields.requireDefault('mlp_bias', false)
  fields.requireDefault('partial_rotary_factor', 1)
  if (isJsonObject(fields.get('quantization_config'))) {
    fields.unsupported('quantization_config is not supported; use the 16- or 32-bit weights, or a GGUF file')
  }
}

function requireExpressible(config: CausalLmConfig, family: ModelFamily): void {
  const contradictions = [
    (config.attentionBias ?? false) !== (family === 'qwen2') && 'attention biases',
    (config.qkNorm ?? false) !== (family === 'qwen3') && 'norms of queries and keys',
    config.slidingWindow !== undefined && family === 'llama' && 'a sliding window',
  ].filter((contradiction) => contradiction !== false)
  if (contradictions.length === 0) return
  const problem = `a config.json of family "${family}" has no choice about ${contradictions.join(' and ')}`
  throw new PlateauError('MODEL_UNSUPPORTED', problem, { facts: { family } })
}
