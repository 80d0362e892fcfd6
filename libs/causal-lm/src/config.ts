/** The model families that are built; a family names no arithmetic of its own, the other fields say all of it. */
export type ModelFamily = 'llama' | 'mistral' | 'qwen2' | 'qwen3'

/** How rotary frequencies are stretched for contexts longer than the model began with. */
export type RopeScaling =
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      /** Llama 3: long wave lengths are divided by `factor`, short ones kept, smooth in between. */
      readonly kind: 'llama3'
      readonly factor: number
      readonly lowFrequencyFactor: number
      readonly highFrequencyFactor: number
      readonly originalMaxPositions: number
    }
  /** The inverse frequency of pair i is divided by factors[i], headDim / 2 of them: how GGUF stores Llama 3's. */
  | { readonly kind: 'factors'; readonly factors: readonly number[] }

/** A decoder of the Llama family and its relatives, as a Hugging Face config.json describes it. */
export interface CausalLmConfig {
  /** Default "llama". */
  readonly family?: ModelFamily
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly intermediateSize: number
  readonly rmsNormEps: number
  readonly ropeTheta: number
  readonly ropeScaling?: RopeScaling
  /** Query, key and value projections have a bias (Qwen2). */
  readonly attentionBias?: boolean
  /** Every head of queries and keys passes an RMS norm of its own width before it is rotated (Qwen3). */
  readonly qkNorm?: boolean
  /** A token attends to so many positions, itself included (Mistral); not set: to all before it. */
  readonly slidingWindow?: number
  readonly maxPositions: number
  readonly tieEmbeddings: boolean
  readonly bosTokenId: number | undefined
  readonly eosTokenIds: readonly number[]
}

/** A parameter in row-major order, as safetensors store it: linear weights are [out, in]. */
export interface Parameter {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** Parameters under their Hugging Face names, for example "model.layers.0.self_attn.q_proj.weight". */
export type Parameters = ReadonlyMap<string, Parameter>

/** Names and shapes of every parameter of this configuration, in a fixed order. */
export function parameterShapes(config: CausalLmConfig): Map<string, readonly number[]> {
  const { hiddenSize: h, intermediateSize: f, vocabSize: v } = config
  const q = config.heads * config.headDim
  const kv = config.kvHeads * config.headDim
  const shapes = new Map<string, readonly number[]>([['model.embed_tokens.weight', [v, h]]])
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `model.layers.${layer}.`
    shapes.set(`${prefix}input_layernorm.weight`, [h])
    shapes.set(`${prefix}self_attn.q_proj.weight`, [q, h])
    shapes.set(`${prefix}self_attn.k_proj.weight`, [kv, h])
    shapes.set(`${prefix}self_attn.v_proj.weight`, [kv, h])
    if (config.attentionBias) {
      shapes.set(`${prefix}self_attn.q_proj.bias`, [q])
      shapes.set(`${prefix}self_attn.k_proj.bias`, [kv])
      shapes.set(`${prefix}self_attn.v_proj.bias`, [kv])
    }
    if (config.qkNorm) {
      shapes.set(`${prefix}self_attn.q_norm.weight`, [config.headDim])
      shapes.set(`${prefix}self_attn.k_norm.weight`, [config.headDim])
    }
    shapes.set(`${prefix}self_attn.o_proj.weight`, [h, q])
    shapes.set(`${prefix}post_attention_layernorm.weight`, [h])
    shapes.set(`${prefix}mlp.gate_proj.weight`, [f, h])
    shapes.set(`${prefix}mlp.up_proj.weight`, [f, h])
    shapes.set(`${prefix}mlp.down_proj.weight`, [h, f])
  }
  shapes.set('model.norm.weight', [h])
  if (!config.tieEmbeddings) shapes.set('lm_head.weight', [v, h])
  return shapes
}
