/**
 * A head in the shapes of EAGLE-3, as SpecForge writes and SGLang and vLLM read them ("midlayer.*"), for training to go on
 * there. Shapes, not the same function: EAGLE-3's layer adds to the projected state alone and reads the token through its
 * attention, where this head projects both together. What corresponds is placed where EAGLE-3 has it:
 *
 *   fc [H, 3H]         of three of the target's states; the head knows the last one: [0, 0, W_f], W = fc = [W_e, W_f]
 *   q, k, v [.., 2H]   of [n(e), n(fc ..) w]; q reads n(W_e e + W_f f) w here: [q diag(w) W_e, q]
 *   norm               norm times the logit scale
 *   lm_head, d2t, t2d  the output head's slice, and its ids: target id = draft id + d2t[draft id]
 *
 * Throws RangeError saying what has no counterpart there.
 */
import type { Parameter } from './config.js'
import { featureHeadParameter, type FeatureHead, type FeatureHeadTarget } from './feature-head.js'
import { draftOutputHead, draftVocabSize } from './feature-head-vocabulary.js'

export interface Eagle3Layout {
  /** config.json. */
  readonly config: Readonly<Record<string, unknown>>
  /** model.safetensors, but for the maps. */
  readonly parameters: ReadonlyMap<string, Parameter>
  /** [draft vocabulary]: what is added to a draft id to have the target's. */
  readonly draftToTarget: BigInt64Array
  /** [V]: 1 for tokens that the draft can propose. */
  readonly targetToDraft: Uint8Array
}

export function eagle3Layout(
  head: FeatureHead,
  target: Pick<FeatureHeadTarget, 'head'>,
  maxPositions: number,
): Eagle3Layout {
  const { hiddenSize: h, vocabSize, bilinearFeatures, layer } = head.config
  if (bilinearFeatures > 0) {
    throw new RangeError(
      `EAGLE-3 has no counterpart for ${bilinearFeatures} bilinear features: train a head with bilinearFeatures = 0 to export it`,
    )
  }
  if (layer === undefined) {
    throw new RangeError(
      'EAGLE-3 always has a decoder layer: train gradients on top of the closed form to export a head',
    )
  }
  const { draftToTarget, targetToDraft } = vocabularyMaps(head)
  return {
    config: {
      architectures: ['LlamaForCausalLMEagle3'],
      model_type: 'llama',
      num_hidden_layers: 1,
      hidden_size: h,
      intermediate_size: layer.intermediateSize,
      num_attention_heads: layer.heads,
      num_key_value_heads: layer.heads,
      head_dim: layer.headDim,
      hidden_act: 'silu',
      rms_norm_eps: head.config.rmsNormEps,
      rope_theta: layer.ropeTheta,
      rope_scaling: null,
      attention_bias: false,
      max_position_embeddings: maxPositions,
      tie_word_embeddings: false,
      vocab_size: vocabSize,
      draft_vocab_size: draftVocabSize(head.config),
    },
    parameters: parametersOf(head, target),
    draftToTarget,
    targetToDraft,
  }
}

function parametersOf(head: FeatureHead, target: Pick<FeatureHeadTarget, 'head'>): Map<string, Parameter> {
  const h = head.config.hiddenSize
  const part = (name: string): Parameter => head.parameters.get(`layers.0.${name}.weight`)!
  const parameters = new Map<string, Parameter>()
  const set = (name: string, shape: readonly number[], data: Float32Array): void =>
    void parameters.set(`${name}.weight`, { shape, data })
  const [fromToken, fromState] = halves(featureHeadParameter(head, 'fc.weight'), h)
  const fc = new Float32Array(3 * h * h)
  for (let row = 0; row < h; row++) fc.set(fromState.subarray(row * h, (row + 1) * h), row * 3 * h + 2 * h)
  set('fc', [h, 3 * h], fc)
  const norm = part('input_layernorm').data
  for (const name of ['q_proj', 'k_proj', 'v_proj']) {
    const { shape, data } = part(`self_attn.${name}`)
    set(`midlayer.self_attn.${name}`, [shape[0]!, 2 * h], beside(throughToken(data, norm, fromToken), data, h))
  }
  set('midlayer.input_layernorm', [h], new Float32Array(h).fill(1))
  set('midlayer.hidden_norm', [h], norm)
  const same = ['self_attn.o_proj', 'post_attention_layernorm', 'mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj']
  for (const name of same) set(`midlayer.${name}`, part(name).shape, part(name).data)
  const scale = featureHeadParameter(head, 'logit_scale')[0]!
  set(
    'norm',
    [h],
    featureHeadParameter(head, 'norm.weight').map((value) => value * scale),
  )
  set('lm_head', [draftVocabSize(head.config), h], draftOutputHead(head, target))
  return parameters
}

/** w [rows, 2H] as its left and its right half, [rows, H] each. */
function halves(w: Float32Array, h: number): [Float32Array, Float32Array] {
  const rows = w.length / (2 * h)
  const [left, right] = [new Float32Array(rows * h), new Float32Array(rows * h)]
  for (let row = 0; row < rows; row++) {
    left.set(w.subarray(2 * row * h, (2 * row + 1) * h), row * h)
    right.set(w.subarray((2 * row + 1) * h, (2 * row + 2) * h), row * h)
  }
  return [left, right]
}

function beside(left: Float32Array, right: Float32Array, h: number): Float32Array {
  const both = new Float32Array(left.length + right.length)
  for (let row = 0; row < left.length / h; row++) {
    both.set(left.subarray(row * h, (row + 1) * h), 2 * row * h)
    both.set(right.subarray(row * h, (row + 1) * h), (2 * row + 1) * h)
  }
  return both
}

/** q diag(w) W_e, [rows, H]. */
function throughToken(q: Float32Array, w: Float32Array, fromToken: Float32Array): Float32Array {
  const h = w.length
  const out = new Float32Array(q.length)
  for (let row = 0; row < q.length / h; row++) {
    for (let k = 0; k < h; k++) {
      const factor = q[row * h + k]! * w[k]!
      for (let i = 0; i < h; i++) out[row * h + i]! += factor * fromToken[k * h + i]!
    }
  }
  return out
}

function vocabularyMaps({ vocabulary, config }: FeatureHead) {
  const targetToDraft = new Uint8Array(config.vocabSize)
  const draftToTarget = new BigInt64Array(draftVocabSize(config))
  for (let id = 0; id < draftToTarget.length; id++) {
    const token = vocabulary?.[id] ?? id
    targetToDraft[token] = 1
    draftToTarget[id] = BigInt(token - id)
  }
  return { draftToTarget, targetToDraft }
}
