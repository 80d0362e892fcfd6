import { describe, expect, it } from 'vitest'
import { eagle3Layout } from './eagle3-layout.js'
import { featureHeadParameter, initialFeatureHead, withLayer, type FeatureHeadConfig } from './feature-head.js'
import { withVocabulary } from './feature-head-vocabulary.js'

const H = 4
const V = 9
const config: FeatureHeadConfig = {
  hiddenSize: H,
  vocabSize: V,
  bilinearFeatures: 0,
  rmsNormEps: 1e-5,
  layer: undefined,
}
const layer = { heads: 3, headDim: 2, intermediateSize: 5, ropeTheta: 10_000, contextPositions: 8 }
let seed = 0
const random = () => (seed = (seed * 16807 + 11) % 2147483647) / 2147483647
const floats = (n: number) => Float32Array.from({ length: n }, random)
const target = { norm: floats(H), head: floats(V * H) }
const bare = initialFeatureHead(config, target, random)
const head = withVocabulary(withLayer(bare, layer, random), Int32Array.of(1, 2, 5, 8))

describe('the EAGLE-3 layout', () => {
  const { config: json, parameters, draftToTarget, targetToDraft } = eagle3Layout(head, target, 128)

  it('has the names and shapes that SpecForge writes', () => {
    expect(Object.fromEntries([...parameters].map(([name, { shape }]) => [name, shape]))).toEqual({
      'fc.weight': [H, 3 * H],
      'midlayer.hidden_norm.weight': [H],
      'midlayer.input_layernorm.weight': [H],
      'midlayer.post_attention_layernorm.weight': [H],
      'midlayer.self_attn.q_proj.weight': [6, 2 * H],
      'midlayer.self_attn.k_proj.weight': [6, 2 * H],
      'midlayer.self_attn.v_proj.weight': [6, 2 * H],
      'midlayer.self_attn.o_proj.weight': [H, 6],
      'midlayer.mlp.gate_proj.weight': [5, H],
      'midlayer.mlp.up_proj.weight': [5, H],
      'midlayer.mlp.down_proj.weight': [H, 5],
      'norm.weight': [H],
      'lm_head.weight': [4, H],
    })
    for (const { shape, data } of parameters.values()) expect(data.length).toBe(shape.reduce((a, b) => a * b, 1))
    expect(json).toMatchObject({
      architectures: ['LlamaForCausalLMEagle3'],
      hidden_size: H,
      num_attention_heads: 3,
      num_key_value_heads: 3,
      head_dim: 2,
      intermediate_size: 5,
      vocab_size: V,
      draft_vocab_size: 4,
      max_position_embeddings: 128,
    })
  })

  it('maps draft ids to the target by what is added to them', () => {
    expect([...draftToTarget]).toEqual([1n, 1n, 3n, 5n])
    expect([...targetToDraft]).toEqual([0, 1, 1, 0, 0, 1, 0, 0, 1])
    expect([...parameters.get('lm_head.weight')!.data.subarray(2 * H, 3 * H)]).toEqual([
      ...target.head.subarray(5 * H, 6 * H),
    ])
    expect(eagle3Layout(withVocabulary(head, undefined), target, 128).draftToTarget).toEqual(new BigInt64Array(V))
  })

  it('reads the state where EAGLE-3 has the last of three, and the token through the attention', () => {
    const fc = featureHeadParameter(head, 'fc.weight')
    const written = parameters.get('fc.weight')!.data
    expect([...written.subarray(0, 2 * H)]).toEqual([...new Float32Array(2 * H)])
    expect([...written.subarray(2 * H, 3 * H)]).toEqual([...fc.subarray(H, 2 * H)])
    const q = featureHeadParameter(head, 'layers.0.self_attn.q_proj.weight')
    const query = parameters.get('midlayer.self_attn.q_proj.weight')!.data
    expect([...query.subarray(H, 2 * H)]).toEqual([...q.subarray(0, H)])
    const first = [0, 1, 2, 3].reduce((sum, k) => sum + q[k]! * fc[k * 2 * H]!, 0)
    expect(query[0]).toBeCloseTo(first, 5)
    expect(parameters.get('norm.weight')!.data[1]).toBeCloseTo(0.8 * target.norm[1]!, 6)
  })

  it('says what has no counterpart', () => {
    expect(() => eagle3Layout(bare, target, 128)).toThrow(/always has a decoder layer/)
    const bilinear = initialFeatureHead({ ...config, bilinearFeatures: 3, bilinearSeed: 1, layer }, target, random)
    expect(() => eagle3Layout(bilinear, target, 128)).toThrow(/no counterpart for 3 bilinear features/)
  })
})
