/**
 * The plain version of the decoder: one whole sequence in double precision, no cache, no fused operators, nothing shared
 * with the graphs but the rotary frequencies. Tests compare the fast ones with it, and it with other implementations.
 */
import type { CausalLmConfig, Parameters } from './config.js'
import { inverseFrequencies } from './rotary-table.js'
import { weight } from './weights.js'

export interface ReferenceForward {
  /** One row per position, each [vocabSize]. */
  readonly logits: Float64Array[]
  /** One row per position, each [hiddenSize]: after the last norm, before the head. */
  readonly hidden: Float64Array[]
}

export function referenceForward(
  config: CausalLmConfig,
  parameters: Parameters,
  tokenIds: readonly number[],
): ReferenceForward {
  const { vocabSize: v, hiddenSize: h, intermediateSize: f, heads, kvHeads, headDim } = config
  const embeddings = weight(parameters, 'model.embed_tokens.weight', [v, h])
  let x: Float64Array[] = tokenIds.map((id) => Float64Array.from(embeddings.subarray(id * h, (id + 1) * h)))
  const frequencies = inverseFrequencies(config)
  for (let layer = 0; layer < config.layers; layer++) {
    const linear = (name: string, outputs: number, inputs: number) => {
      const w = weight(parameters, `model.layers.${layer}.${name}.weight`, [outputs, inputs])
      return (row: Float64Array) => multiply(w, row, outputs)
    }
    const norm = (name: string, width = h) => {
      const gain = weight(parameters, `model.layers.${layer}.${name}.weight`, [width])
      return (row: Float64Array) => rmsNorm(row, gain, config.rmsNormEps)
    }
    const normed = x.map(norm('input_layernorm'))
    const projected = (kind: 'q' | 'k' | 'v', count: number) => {
      const rows = normed.map(linear(`self_attn.${kind}_proj`, count * headDim, h))
      if (!config.attentionBias) return rows
      const bias = weight(parameters, `model.layers.${layer}.self_attn.${kind}_proj.bias`, [count * headDim])
      return rows.map((row) => row.map((value, i) => value + bias[i]!))
    }
    const rotated = (kind: 'q' | 'k', count: number) => {
      const rows = projected(kind, count)
      const separate = config.qkNorm ? rows.map(perHead(norm(`self_attn.${kind}_norm`, headDim), headDim)) : rows
      return separate.map((row, t) => rotate(row, t, frequencies))
    }
    const queries = rotated('q', heads)
    const keys = rotated('k', kvHeads)
    const values = projected('v', kvHeads)
    const attended = queries.map((query, t) => {
      const first = Math.max(0, t + 1 - (config.slidingWindow ?? Infinity))
      return attend(query, keys.slice(first, t + 1), values.slice(first, t + 1), config)
    })
    x = add(x, attended.map(linear('self_attn.o_proj', h, heads * headDim)))

    const normedAgain = x.map(norm('post_attention_layernorm'))
    const up = normedAgain.map(linear('mlp.up_proj', f, h))
    const gated = normedAgain
      .map(linear('mlp.gate_proj', f, h))
      .map((gate, t) => gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[t]![i]!))
    x = add(x, gated.map(linear('mlp.down_proj', h, f)))
  }
  const gain = weight(parameters, 'model.norm.weight', [h])
  const head = config.tieEmbeddings ? embeddings : weight(parameters, 'lm_head.weight', [v, h])
  const hidden = x.map((row) => rmsNorm(row, gain, config.rmsNormEps))
  return { hidden, logits: hidden.map((row) => multiply(head, row, v)) }
}

/** w [outputs, inputs] times row [inputs]. */
function multiply(w: Float32Array, row: Float64Array, outputs: number): Float64Array {
  return Float64Array.from({ length: outputs }, (_, o) => {
    let sum = 0
    for (let i = 0; i < row.length; i++) sum += w[o * row.length + i]! * row[i]!
    return sum
  })
}

function rmsNorm(row: Float64Array, gain: Float32Array, epsilon: number): Float64Array {
  const meanSquare = row.reduce((sum, value) => sum + value * value, 0) / row.length
  return row.map((value, i) => (value / Math.sqrt(meanSquare + epsilon)) * gain[i]!)
}

/** Applies `work` to every stretch of `width` values of a row. */
function perHead(work: (head: Float64Array) => Float64Array, width: number): (row: Float64Array) => Float64Array {
  return (row) => {
    const out = new Float64Array(row.length)
    for (let at = 0; at < row.length; at += width) out.set(work(row.slice(at, at + width)), at)
    return out
  }
}

/** Turns dimensions i and i + headDim/2 of every head together by t * frequencies[i]. */
function rotate(row: Float64Array, t: number, frequencies: Float64Array): Float64Array {
  const half = frequencies.length
  return row.map((value, at) => {
    const i = at % (2 * half)
    const angle = t * frequencies[i % half]!
    const partner = i < half ? -row[at + half]! : row[at - half]!
    return value * Math.cos(angle) + partner * Math.sin(angle)
  })
}

/** One position's query over the keys and values that it sees; query head n uses key head floor(n kvHeads / heads). */
function attend(
  query: Float64Array,
  keys: readonly Float64Array[],
  values: readonly Float64Array[],
  { heads, kvHeads, headDim }: CausalLmConfig,
): Float64Array {
  const out = new Float64Array(heads * headDim)
  for (let n = 0; n < heads; n++) {
    const at = Math.floor((n * kvHeads) / heads) * headDim
    const scores = keys.map((key) => {
      let dot = 0
      for (let i = 0; i < headDim; i++) dot += query[n * headDim + i]! * key[at + i]!
      return dot / Math.sqrt(headDim)
    })
    const largest = Math.max(...scores)
    const exponentials = scores.map((score) => Math.exp(score - largest))
    const total = exponentials.reduce((a, b) => a + b, 0)
    exponentials.forEach((exponential, t) => {
      for (let i = 0; i < headDim; i++) out[n * headDim + i]! += (exponential / total) * values[t]![at + i]!
    })
  }
  return out
}

function add(x: readonly Float64Array[], y: readonly Float64Array[]): Float64Array[] {
  return x.map((row, t) => row.map((value, i) => value + y[t]![i]!))
}
