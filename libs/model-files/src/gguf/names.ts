/** llama.cpp's names of a layer's tensors, by what Hugging Face calls them there. */
const layerNames: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
}

const otherNames: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
}

/** For example "blk.3.attn_q.weight" for "model.layers.3.self_attn.q_proj.weight". */
export function ggufName(name: string): string {
  const inLayer = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name)
  const found = inLayer === null ? otherNames[name] : layerNames[inLayer[2]!]
  if (found === undefined) throw new RangeError(`no model has a parameter "${name}"`)
  return inLayer === null ? found : `blk.${inLayer[1]}.${found}.${inLayer[3]}`
}
