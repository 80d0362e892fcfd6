/**
 * A decoder of the Llama family as an ONNX graph for ONNX Runtime: new tokens of a batch of sequences, their pasts in
 * buffers that the caller owns, and the scoring of p inside the graph, so that no vocabulary-sized tensor leaves it.
 *
 * Shapes: B sequences with T new tokens together, S the most of one, P rows of past buffer (any number; the mask says
 * which a sequence has filled), R tokens to score, C candidate ids per scored token, F tokens whose hidden state alone is
 * wanted, L layers, heads = G K query heads of which G share one of K = kvHeads keys, D = headDim, H = hiddenSize,
 * k = topK. F and X (decoder-names.ts) may be 0; R may not, for ONNX Runtime divides by it.
 */
import { GraphBuilder } from '@plateau/tensor-graph'
import type { CausalLmConfig } from './config.js'
import { attention, attentionInputs } from './decoder-attention.js'
import { decoderInputs, decoderOutputs } from './decoder-names.js'
import type { GraphWeights, WeightsOf } from './graph-weights.js'
import { headLayerName } from './head-graph.js'
import { scoringTail } from './scoring-tail.js'

export interface DecoderGraphOptions {
  /** How many of the largest logits come out per row; at most vocabSize. */
  readonly topK: number
  /** Longest context, for the tables of rotary positions. */
  readonly maxContext: number
}

export function buildDecoderGraph(
  config: CausalLmConfig,
  weightsOf: WeightsOf,
  options: DecoderGraphOptions,
): GraphBuilder {
  const { vocabSize, hiddenSize, layers, kvHeads, headDim } = config
  const graph = new GraphBuilder()
  const block = new DecoderBlocks(graph, config, weightsOf(graph))
  const tokenIds = graph.input(decoderInputs.tokenIds, 'i32', ['T'])
  const shared = attentionInputs(graph, config, options.maxContext)

  let residual = block.embed(tokenIds) // [T, H]
  let normed = block.norm(residual, 'model.layers.0.input_layernorm')
  const newPast: string[] = []
  for (let layer = 0; layer < layers; layer++) {
    const attended = attention(graph, config, layer, block.projections(normed, layer), shared)
    newPast.push(attended.key, attended.value)
    const output = block.linear(attended.output, `model.layers.${layer}.self_attn.o_proj`)
    ;[normed, residual] = block.addAndNorm(residual, output, `model.layers.${layer}.post_attention_layernorm`)
    const next = layer + 1 < layers ? `model.layers.${layer + 1}.input_layernorm` : 'model.norm'
    ;[normed, residual] = block.addAndNorm(residual, block.feedForward(normed, layer), next)
  }
  const merged = graph.op('Concat', newPast, { attributes: { axis: 1 } })
  graph.output(decoderOutputs.newPast, merged, 'f32', ['B', layers * 2 * kvHeads, 'S', headDim])

  const at = (rows: string) => graph.op('Gather', [normed, rows])
  const features = at(graph.input(decoderInputs.featureRows, 'i32', ['F']))
  graph.output(decoderOutputs.features, features, 'f32', ['F', hiddenSize])
  const hidden = at(graph.input(decoderInputs.rows, 'i32', ['R']))
  graph.output(decoderOutputs.hidden, hidden, 'f32', ['R', hiddenSize])
  scoringTail(graph, block.linear(hidden, headLayerName(config)), Math.min(options.topK, vocabSize))
  return graph
}

/** Everything of a layer but attention; x is [T, H]. */
class DecoderBlocks {
  readonly #graph: GraphBuilder
  readonly #config: CausalLmConfig
  readonly #weights: GraphWeights
  readonly #epsilon: { readonly float: number }

  constructor(graph: GraphBuilder, config: CausalLmConfig, weights: GraphWeights) {
    this.#graph = graph
    this.#config = config
    this.#weights = weights
    this.#epsilon = { float: config.rmsNormEps }
  }

  embed(tokenIds: string): string {
    return this.#weights.embed(tokenIds)
  }

  linear(x: string, layer: string): string {
    return this.#weights.linear(x, [layer])
  }

  /** Queries, keys and values side by side: [T, (heads + 2 K) D]; the first two normed head by head where asked for. */
  projections(x: string, layer: number): string {
    const { heads, kvHeads, headDim, qkNorm } = this.#config
    const name = `model.layers.${layer}.self_attn.`
    const qkv = this.#weights.linear(x, [`${name}q_proj`, `${name}k_proj`, `${name}v_proj`])
    if (!qkNorm) return qkv
    const byHead = this.#graph.op('Reshape', [qkv, this.#graph.ints(-1, heads + 2 * kvHeads, headDim)])
    const [q, k, v] = this.#split(byHead, [heads, kvHeads, kvHeads])
    const normed = [this.norm(q!, `${name}q_norm`), this.norm(k!, `${name}k_norm`), v!]
    return this.#graph.op('Concat', normed, { attributes: { axis: 1 } })
  }

  /** down(silu(gate(x)) * up(x)) */
  feedForward(x: string, layer: number): string {
    const { intermediateSize } = this.#config
    const name = `model.layers.${layer}.mlp.`
    const both = this.#weights.linear(x, [`${name}gate_proj`, `${name}up_proj`])
    const [gate, up] = this.#split(both, [intermediateSize, intermediateSize])
    // x * sigmoid(alpha * x) with alpha 1 is SiLU.
    const silu = this.#graph.op('QuickGelu', [gate!], {
      domain: 'com.microsoft',
      attributes: { alpha: { float: 1 } },
    })
    return this.linear(this.#graph.op('Mul', [silu, up!]), `${name}down_proj`)
  }

  /** Over the last axis. */
  norm(x: string, name: string): string {
    const attributes = { axis: -1, epsilon: this.#epsilon, stash_type: 1 }
    return this.#graph.op('SimplifiedLayerNormalization', [x, this.#weights.vector(`${name}.weight`)], { attributes })
  }

  /** [norm(x + y), x + y] in one pass. */
  addAndNorm(x: string, y: string, name: string): [string, string] {
    const outputs = this.#graph.ops(
      'SkipSimplifiedLayerNormalization',
      [x, y, this.#weights.vector(`${name}.weight`)],
      4,
      { domain: 'com.microsoft', attributes: { epsilon: this.#epsilon } },
    )
    return [outputs[0]!, outputs[3]!]
  }

  #split(x: string, sizes: readonly number[]): string[] {
    return this.#graph.ops('Split', [x, this.#graph.ints(...sizes)], sizes.length, { attributes: { axis: 1 } })
  }
}
