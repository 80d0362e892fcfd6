/**
 * A Llama-family decoder as an ONNX graph for ONNX Runtime: S new tokens of one sequence, its past in buffers that the
 * caller owns, and the scoring of p inside the graph, so that no vocabulary-sized tensor leaves it.
 *
 * Shapes: S new tokens, P rows of past buffer (any number, of which the first `length` are valid), R rows to score,
 * C candidate ids per row, L layers, K = kvHeads, D = headDim, H = hiddenSize, k = topK.
 *
 * The past is never copied: attention scores against the past and against the new keys are computed apart and meet in
 * one softmax. GroupQueryAttention would be one node instead of fifteen, but copies and clears the whole past in every
 * layer; that costs more than the nodes from some 200 positions on.
 */
import { GraphBuilder } from '@plateau/tensor-graph'
import type { CausalLmConfig, Parameters } from './config.js'
import { floatWeights, type GraphWeights, type WeightsOf } from './graph-weights.js'
import { decoderInputs, decoderOutputs } from './decoder-names.js'
import { headLayerName } from './head-graph.js'
import { rotaryTable } from './rotary-table.js'
import { scoringTail } from './scoring-tail.js'

export interface DecoderGraphOptions {
  /** How many of the largest logits come out per row; at most vocabSize. */
  readonly topK: number
  /** Longest context, for the tables of rotary positions. */
  readonly maxContext: number
}

/** With the parameters as 32-bit floats inside the model. */
export function decoderGraph(config: CausalLmConfig, parameters: Parameters, options: DecoderGraphOptions): Uint8Array {
  return buildDecoderGraph(config, (graph) => floatWeights(graph, config, parameters), options).encode()
}

export function buildDecoderGraph(
  config: CausalLmConfig,
  weightsOf: WeightsOf,
  options: DecoderGraphOptions,
): GraphBuilder {
  const { vocabSize, hiddenSize, layers } = config
  const graph = new DecoderBuilder(config, weightsOf)
  const tokenIds = graph.input(decoderInputs.tokenIds, 'i64', [1, 'S'])
  const attention = graph.attentionInputs(options.maxContext)
  const rows = graph.input(decoderInputs.rows, 'i64', ['R'])

  let residual = graph.weights.embed(tokenIds) // [1, S, H]
  let normed = graph.norm(residual, 'model.layers.0.input_layernorm.weight')
  const newPast: string[] = []
  for (let layer = 0; layer < layers; layer++) {
    const attended = graph.attention(normed, layer, attention)
    newPast.push(attended.key, attended.value)
    ;[normed, residual] = graph.addAndNorm(
      residual,
      attended.output,
      `model.layers.${layer}.post_attention_layernorm.weight`,
    )
    const next = layer + 1 < layers ? `model.layers.${layer + 1}.input_layernorm.weight` : 'model.norm.weight'
    ;[normed, residual] = graph.addAndNorm(residual, graph.feedForward(normed, layer), next)
  }
  const merged = graph.op('Concat', newPast, { attributes: { axis: 1 } })
  graph.output(decoderOutputs.newPast, merged, 'f32', [1, layers * 2 * config.kvHeads, 'S', config.headDim])

  const hidden = graph.op('Gather', [graph.op('Reshape', [normed, graph.ints(-1, hiddenSize)]), rows]) // [R, H]
  graph.output(decoderOutputs.hidden, hidden, 'f32', ['R', hiddenSize])
  scoringTail(graph, graph.weights.linear(hidden, [headLayerName(config)]), Math.min(options.topK, vocabSize))
  return graph
}

interface AttentionInputs {
  readonly position: string
  readonly mask: string
  readonly cos: string
  readonly sin: string
  /** [P, S], to split what was computed against past and new keys. */
  readonly pastAndNew: string
}

/** ONNX Runtime's own operators. */
const contrib = (attributes: Record<string, number | { float: number }> = {}) => ({
  domain: 'com.microsoft',
  attributes,
})

class DecoderBuilder extends GraphBuilder {
  readonly weights: GraphWeights
  readonly #config: CausalLmConfig
  readonly #epsilon: { readonly float: number }

  constructor(config: CausalLmConfig, weightsOf: WeightsOf) {
    super()
    this.weights = weightsOf(this)
    this.#config = config
    this.#epsilon = { float: config.rmsNormEps }
  }

  attentionInputs(maxContext: number): AttentionInputs {
    const { heads, kvHeads, headDim } = this.#config
    const position = this.input(decoderInputs.position, 'i64', [1])
    const mask = this.input(decoderInputs.mask, 'f32', [1, 1, 'S', 'P_plus_S'])
    const tables = rotaryTable(this.#config, maxContext)
    const newCount = this.op('Shape', [mask], { attributes: { start: 2, end: 3 } })
    const total = this.op('Shape', [mask], { attributes: { start: 3, end: 4 } })
    const group = heads / kvHeads
    return {
      position,
      mask: group === 1 ? mask : this.op('Concat', Array<string>(group).fill(mask), { attributes: { axis: 2 } }),
      cos: this.constant(tables.cos, [maxContext, headDim / 2]),
      sin: this.constant(tables.sin, [maxContext, headDim / 2]),
      pastAndNew: this.op('Concat', [this.op('Sub', [total, newCount]), newCount], { attributes: { axis: 0 } }),
    }
  }

  /** x [1, S, H] -> output [1, S, H], and the new key and value [1, K, S, D]. G = heads / K query heads share a key. */
  attention(x: string, layer: number, shared: AttentionInputs): { output: string; key: string; value: string } {
    const { heads, kvHeads, headDim } = this.#config
    const name = (kind: string) => `model.layers.${layer}.self_attn.${kind}_proj`
    const qkv = this.#heads(this.weights.linear(x, [name('q'), name('k'), name('v')]), heads + 2 * kvHeads)
    const [unrotated, value] = this.#split(qkv, [heads + kvHeads, kvHeads], 1)
    const rotated = this.op(
      'RotaryEmbedding',
      [unrotated, shared.position, shared.cos, shared.sin],
      contrib({ interleaved: 0 }),
    )
    const [separate, key] = this.#split(rotated, [heads, kvHeads], 1)
    const query = heads === kvHeads ? separate : this.op('Reshape', [separate, this.ints(1, kvHeads, -1, headDim)])

    const pastShape = [1, kvHeads, 'P', headDim]
    const pastKey = this.input(decoderInputs.pastKey(layer), 'f32', pastShape)
    const pastValue = this.input(decoderInputs.pastValue(layer), 'f32', pastShape)
    const against = (keys: string) =>
      this.op('FusedMatMul', [query, keys], contrib({ transB: 1, alpha: { float: 1 / Math.sqrt(headDim) } }))
    const scores = this.op('Concat', [against(pastKey), against(key)], { attributes: { axis: 3 } }) // [1, K, G S, P + S]
    const weightsOfAll = this.op('Softmax', [this.op('Add', [scores, shared.mask])], { attributes: { axis: -1 } })
    const [ofPast, ofNew] = this.#split(weightsOfAll, shared.pastAndNew, 3)
    const mixed = this.op('Add', [this.op('MatMul', [ofPast, pastValue]), this.op('MatMul', [ofNew, value])])

    const byHead = heads === kvHeads ? mixed : this.op('Reshape', [mixed, this.ints(1, heads, -1, headDim)])
    const byToken = this.op('Transpose', [byHead], { attributes: { perm: [0, 2, 1, 3] } })
    const joined = this.op('Reshape', [byToken, this.ints(1, -1, heads * headDim)])
    return { output: this.weights.linear(joined, [name('o')]), key, value }
  }

  /** down(silu(gate(x)) * up(x)) */
  feedForward(x: string, layer: number): string {
    const { intermediateSize } = this.#config
    const name = (kind: string) => `model.layers.${layer}.mlp.${kind}_proj`
    const both = this.weights.linear(x, [name('gate'), name('up')])
    const [gate, up] = this.#split(both, [intermediateSize, intermediateSize], 2)
    // x * sigmoid(alpha * x) with alpha 1 is SiLU.
    const silu = this.op('QuickGelu', [gate], contrib({ alpha: { float: 1 } }))
    return this.weights.linear(this.op('Mul', [silu, up]), [name('down')])
  }

  norm(x: string, name: string): string {
    const attributes = { axis: -1, epsilon: this.#epsilon, stash_type: 1 }
    return this.op('SimplifiedLayerNormalization', [x, this.weights.vector(name)], { attributes })
  }

  /** [norm(x + y), x + y] in one pass. */
  addAndNorm(x: string, y: string, name: string): [string, string] {
    const outputs = this.ops(
      'SkipSimplifiedLayerNormalization',
      [x, y, this.weights.vector(name)],
      4,
      contrib({ epsilon: this.#epsilon }),
    )
    return [outputs[0]!, outputs[3]!]
  }

  /** [1, S, count * D] -> [1, count, S, D] */
  #heads(x: string, count: number): string {
    const split = this.op('Reshape', [x, this.ints(1, -1, count, this.#config.headDim)])
    return this.op('Transpose', [split], { attributes: { perm: [0, 2, 1, 3] } })
  }

  #split(x: string, sizes: readonly [number, number] | string, axis: number): [string, string] {
    const parts = this.ops('Split', [x, typeof sizes === 'string' ? sizes : this.ints(...sizes)], 2, {
      attributes: { axis },
    })
    return [parts[0]!, parts[1]!]
  }
}
