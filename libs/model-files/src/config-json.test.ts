import { PlateauError } from '@plateau/contracts'
import { describe, expect, it } from 'vitest'
import { configJson, parseConfig } from './config-json.js'

/** As SmolLM2-135M has it, without what does not matter here. */
const smol = {
  architectures: ['LlamaForCausalLM'],
  attention_bias: false,
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: 'silu',
  hidden_size: 576,
  initializer_range: 0.041666666666666664,
  intermediate_size: 1536,
  max_position_embeddings: 8192,
  model_type: 'llama',
  num_attention_heads: 9,
  num_hidden_layers: 30,
  num_key_value_heads: 3,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 100_000,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  vocab_size: 49_152,
}

const qwen2 = { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2' }
const qwen3 = { architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3' }
const mistral = { architectures: ['MistralForCausalLM'], model_type: 'mistral' }

const parsed = (change: object): object => parseConfig(JSON.stringify({ ...smol, ...change }), 'm')

function failure(change: object): PlateauError {
  try {
    parseConfig(JSON.stringify({ ...smol, ...change }), 'm/config.json')
  } catch (thrown) {
    if (thrown instanceof PlateauError) return thrown
    throw thrown
  }
  throw new Error('this should not have been accepted')
}

describe('config.json', () => {
  it('is read as Hugging Face writes it', () => {
    expect(parseConfig(JSON.stringify(smol), 'm')).toEqual({
      vocabSize: 49_152,
      hiddenSize: 576,
      layers: 30,
      heads: 9,
      kvHeads: 3,
      headDim: 64,
      intermediateSize: 1536,
      rmsNormEps: 1e-5,
      ropeTheta: 100_000,
      maxPositions: 8192,
      tieEmbeddings: true,
      bosTokenId: 1,
      eosTokenIds: [2],
    })
  })

  it('takes what it leaves out from the Llama defaults', () => {
    const { vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads } = smol
    const bare = {
      model_type: 'llama',
      vocab_size,
      hidden_size,
      intermediate_size,
      num_hidden_layers,
      num_attention_heads,
    }
    expect(parseConfig(JSON.stringify(bare), 'm')).toMatchObject({
      kvHeads: 9,
      rmsNormEps: 1e-6,
      ropeTheta: 10_000,
      maxPositions: 2048,
      tieEmbeddings: false,
      bosTokenId: undefined,
      eosTokenIds: [],
    })
  })

  it('reads the rope parameters of newer files', () => {
    const { rope_theta: _, rope_scaling: __, ...others } = smol
    const newer = { ...others, rope_parameters: { rope_type: 'default', rope_theta: 500_000 } }
    expect(parseConfig(JSON.stringify(newer), 'm').ropeTheta).toBe(500_000)
  })

  const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 }
  const scaledAsLlama3 = {
    ropeScaling: {
      kind: 'llama3',
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaxPositions: 8192,
    },
  }

  it.each([
    ['Llama 3', { rope_scaling: { rope_type: 'llama3', ...llama3 } }, scaledAsLlama3],
    [
      'Llama 3, as transformers 5 writes it',
      { rope_scaling: undefined, rope_parameters: { rope_type: 'llama3', rope_theta: 5e5, ...llama3 } },
      { ...scaledAsLlama3, ropeTheta: 5e5 },
    ],
    ['a linear scale', { rope_scaling: { type: 'linear', factor: 2 } }, { ropeScaling: { kind: 'linear', factor: 2 } }],
    ['Mistral', { ...mistral, sliding_window: 128 }, { family: 'mistral', slidingWindow: 128 }],
    ['Mistral that says nothing of a window', mistral, { family: 'mistral', slidingWindow: 4096 }],
    ['Qwen2', qwen2, { family: 'qwen2', attentionBias: true }],
    [
      'Qwen2 with a window in every layer',
      { ...qwen2, use_sliding_window: true, sliding_window: 99, max_window_layers: 0 },
      { slidingWindow: 99 },
    ],
    ['Qwen3', qwen3, { family: 'qwen3', qkNorm: true, headDim: 128 }],
  ])('knows %s', (_, change, expected) => expect(parsed(change)).toMatchObject(expected))

  it.each([
    ['Mistral without one', { ...mistral, sliding_window: null }],
    ['Qwen2 that has it switched off', { ...qwen2, sliding_window: 4096, use_sliding_window: false }],
    ['Qwen2 whose layers begin with it later', { ...qwen2, use_sliding_window: true, max_window_layers: 30 }],
    ['Qwen3 whose layers all see everything', { ...qwen3, layer_types: Array(30).fill('full_attention') }],
  ])('has no sliding window for %s', (_, change) => expect(parsed(change)).not.toHaveProperty('slidingWindow'))

  it.each([
    ['Llama', {}],
    ['Llama 3', { rope_scaling: { rope_type: 'llama3', ...llama3 } }],
    ['a linear scale', { rope_scaling: { type: 'linear', factor: 2 } }],
    ['Mistral', { ...mistral, sliding_window: 128 }],
    ['Mistral without a window', { ...mistral, sliding_window: null }],
    ['Qwen2', qwen2],
    ['Qwen2 with a window', { ...qwen2, use_sliding_window: true, sliding_window: 99, max_window_layers: 0 }],
    ['Qwen3', qwen3],
  ])('gives back what was written: %s', (_, change) => {
    const config = { ...parseConfig(JSON.stringify({ ...smol, ...change }), 'm'), headDim: 32, eosTokenIds: [2, 7] }
    expect(parseConfig(configJson(config, 'BF16'), 'm')).toEqual(config)
  })

  it('keeps listed factors of rotary frequencies, as a GGUF file has them', () => {
    const ropeScaling = { kind: 'factors', factors: Array.from({ length: 32 }, (_, i) => 1 + i / 8) } as const
    const config = { ...parseConfig(JSON.stringify(smol), 'm'), ropeScaling }
    expect(parseConfig(configJson(config, 'F32'), 'm')).toEqual(config)
  })

  it('is not written for what no family is', () => {
    const config = { ...parseConfig(JSON.stringify(smol), 'm'), qkNorm: true }
    expect(() => configJson(config, 'F32')).toThrow('norms of queries and keys')
  })

  it.each([
    [{ architectures: ['GemmaForCausalLM'] }, 'architecture "GemmaForCausalLM" is not supported'],
    [{ hidden_act: 'gelu' }, 'hidden_act "gelu" is not supported, only "silu"'],
    [{ rope_scaling: { type: 'dynamic', factor: 2 } }, 'rope_scaling.rope_type "dynamic" is not supported'],
    [{ rope_scaling: { rope_type: 'longrope', short_factor: [1], long_factor: [2] } }, 'rope_type "longrope"'],
    [
      { rope_parameters: { full_attention: { rope_type: 'default' }, sliding_attention: {} } },
      'rope_parameters.rope_type "one for each kind of layer" is not supported',
    ],
    [{ ...qwen2, use_sliding_window: true, max_window_layers: 28 }, 'a sliding window in 2 of 30 layers'],
    [{ rope_parameters: { rope_type: 'yarn', rope_theta: 1e4 } }, 'rope_parameters.rope_type "yarn" is not supported'],
    [{ attention_bias: true }, 'attention_bias true is not supported'],
    [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor 0.5 is not supported'],
    [{ quantization_config: { quant_method: 'gptq' } }, 'quantization_config is not supported'],
  ])('says in one line what is not supported: %j', (change, sentence) => {
    const error = failure(change)
    expect(error.code).toBe('MODEL_UNSUPPORTED')
    expect(error.message).toContain(sentence)
    expect(error.message).not.toContain('\n')
    expect(error.facts).toMatchObject({ file: 'm/config.json' })
  })

  it('names every malformed field at once', () => {
    const error = failure({
      vocab_size: -1,
      num_hidden_layers: '30',
      num_key_value_heads: 2,
      tie_word_embeddings: 'yes',
    })
    expect(error.code).toBe('MODEL_CONFIG_INVALID')
    for (const field of ['vocab_size', 'num_hidden_layers', 'num_key_value_heads', 'tie_word_embeddings']) {
      expect(error.message).toContain(field)
    }
  })

  it.each([['{'], ['[]'], ['null']])('refuses %s', (json) => {
    expect(() => parseConfig(json, 'm/config.json')).toThrow(PlateauError)
  })
})
