import type { CausalLmConfig } from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { isJsonObject, type JsonObject, parseJsonObject } from './json-object.js'
import type { FloatDtype } from './tensor.js'

/**
 * A Hugging Face config.json of the Llama family, with LlamaConfig's defaults for what it leaves out. Everything that
 * would change the arithmetic and that we do not build is refused: a model that loads must be the model.
 */
export function parseConfig(json: string, file: string): CausalLmConfig {
  const fields = new ConfigFields(parseJsonObject(json, file, 'MODEL_CONFIG_INVALID'))
  const hiddenSize = fields.size('hidden_size')
  const heads = fields.size('num_attention_heads')
  const config: CausalLmConfig = {
    vocabSize: fields.size('vocab_size'),
    hiddenSize,
    layers: fields.size('num_hidden_layers'),
    heads,
    kvHeads: fields.size('num_key_value_heads', heads),
    headDim: fields.size('head_dim', Math.floor(hiddenSize / heads)),
    intermediateSize: fields.size('intermediate_size'),
    rmsNormEps: fields.positive('rms_norm_eps', 1e-6),
    ropeTheta: fields.ropeTheta(),
    maxPositions: fields.size('max_position_embeddings', 2048),
    tieEmbeddings: fields.flag('tie_word_embeddings', false),
    bosTokenId: fields.tokenIds('bos_token_id')[0],
    eosTokenIds: fields.tokenIds('eos_token_id'),
  }
  fields.refuseUnsupported()
  if (heads % config.kvHeads !== 0) {
    fields.problem(`num_attention_heads ${heads} is not a multiple of num_key_value_heads ${config.kvHeads}`)
  }
  if (config.headDim % 2 !== 0) fields.problem(`head_dim ${config.headDim} is odd`)
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

/** config.json as transformers, vLLM and SGLang read it. */
export function configJson(config: CausalLmConfig, dtype: FloatDtype): string {
  const fields = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
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
    max_position_embeddings: config.maxPositions,
    tie_word_embeddings: config.tieEmbeddings,
    attention_bias: false,
    mlp_bias: false,
    bos_token_id: config.bosTokenId ?? null,
    eos_token_id: config.eosTokenIds.length > 1 ? config.eosTokenIds : (config.eosTokenIds[0] ?? null),
    torch_dtype: { F32: 'float32', F16: 'float16', BF16: 'bfloat16' }[dtype],
  }
  return `${JSON.stringify(fields, null, 2)}\n`
}

/** Reads fields one by one and keeps every problem, so that all of them can be told at once. */
class ConfigFields {
  private readonly problems: { readonly text: string; readonly unsupported: boolean }[] = []

  constructor(private readonly fields: JsonObject) {}

  problem(text: string, unsupported = false): void {
    this.problems.push({ text, unsupported })
  }

  size(name: string, otherwise?: number): number {
    const value = this.fields[name] ?? otherwise
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value
    this.problem(value === undefined ? `${name} is missing` : `${name} must be a positive integer, not ${show(value)}`)
    return 1
  }

  positive(name: string, otherwise: number): number {
    const value = this.fields[name] ?? otherwise
    if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value
    this.problem(`${name} must be a positive number, not ${show(value)}`)
    return otherwise
  }

  flag(name: string, otherwise: boolean): boolean {
    const value = this.fields[name] ?? otherwise
    if (typeof value === 'boolean') return value
    this.problem(`${name} must be true or false, not ${show(value)}`)
    return otherwise
  }

  tokenIds(name: string): readonly number[] {
    const value = this.fields[name] ?? []
    const ids: unknown[] = Array.isArray(value) ? value : [value]
    if (ids.every((id): id is number => typeof id === 'number' && Number.isSafeInteger(id) && id >= 0)) return ids
    this.problem(`${name} must be a token id or a list of them, not ${show(value)}`)
    return []
  }

  /** transformers 5 moved rope_theta and rope_scaling into rope_parameters. */
  ropeTheta(): number {
    const nested = this.fields['rope_parameters']
    if (!isJsonObject(nested)) return this.positive('rope_theta', 10_000)
    const theta = nested['rope_theta'] ?? this.fields['rope_theta'] ?? 10_000
    if (typeof theta === 'number' && theta > 0) return theta
    this.problem(`rope_parameters.rope_theta must be a positive number, not ${show(theta)}`)
    return 10_000
  }

  refuseUnsupported(): void {
    const { architectures, model_type: modelType } = this.fields
    const named = Array.isArray(architectures) && architectures.length > 0
    const isLlama = named ? architectures.includes('LlamaForCausalLM') : modelType === 'llama'
    if (!isLlama) {
      const found = named ? show(architectures[0]) : show(modelType)
      this.problem(`architecture ${found} is not supported, only "LlamaForCausalLM"`, true)
    }
    this.refuseUnless('hidden_act', this.fields['hidden_act'] ?? 'silu', 'silu')
    for (const name of ['attention_bias', 'mlp_bias']) this.refuseUnless(name, this.fields[name] ?? false, false)
    for (const name of ['rope_scaling', 'rope_parameters']) {
      const rope = this.fields[name] ?? {}
      const kind = isJsonObject(rope) ? (rope['rope_type'] ?? rope['type'] ?? 'default') : rope
      this.refuseUnless(`${name}.rope_type`, kind, 'default')
    }
    this.refuseUnless('partial_rotary_factor', this.fields['partial_rotary_factor'] ?? 1, 1)
    if (isJsonObject(this.fields['quantization_config'])) {
      this.problem(`quantization_config is not supported; use the 16- or 32-bit weights`, true)
    }
  }

  throwProblems(file: string): void {
    if (this.problems.length === 0) return
    const [first, ...more] = this.problems.map(({ text }) => text)
    const malformed = this.problems.some(({ unsupported }) => !unsupported)
    throw new PlateauError(
      malformed ? 'MODEL_CONFIG_INVALID' : 'MODEL_UNSUPPORTED',
      `cannot use ${file}: ${[first, ...more].join('; ')}`,
      { facts: { file, problems: this.problems.length } },
    )
  }

  private refuseUnless(name: string, found: unknown, supported: unknown): void {
    if (found !== supported) this.problem(`${name} ${show(found)} is not supported, only ${show(supported)}`, true)
  }
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? 'nothing'
}
