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

  it('gives back what was written', () => {
    const config = { ...parseConfig(JSON.stringify(smol), 'm'), headDim: 32, eosTokenIds: [2, 7] }
    expect(parseConfig(configJson(config, 'BF16'), 'm')).toEqual(config)
  })

  it.each([
    [{ architectures: ['GemmaForCausalLM'] }, 'architecture "GemmaForCausalLM" is not supported'],
    [{ hidden_act: 'gelu' }, 'hidden_act "gelu" is not supported, only "silu"'],
    [{ rope_scaling: { rope_type: 'llama3', factor: 8 } }, 'rope_scaling.rope_type "llama3" is not supported'],
    [{ rope_scaling: { type: 'linear', factor: 2 } }, 'rope_scaling.rope_type "linear" is not supported'],
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
