/**
 * One drafting step of a feature-fed head as an ONNX graph: S pairs (normalised embedding, feature) in, the prediction
 * after the last of them out, with its k most probable tokens; nothing of the vocabulary's size leaves the graph.
 *
 * Without a layer: `token` [1, H], `feature` [1, H]. With one, C = contextPositions, D = headDim:
 *   `token` [S, H], `feature` [S, H], `cos` and `sin` [S, D / 2] of the pairs' positions,
 *   `past_key`, `past_value` [heads, C, D] in any order of positions, `mask` [S, C + S] to be added to the scores.
 * Out: `hidden` [1, H], `top_logits` [1, k], `top_ids` [1, k] (int32, the target's ids), `log_sum_exp` [1, 1]; and with a layer
 *   `key`, `value` [heads, S, D] of the S pairs.
 * Logits are scaled: softmax of them is q.
 *
 * An output head that is large can stand apart, in a model of its own that all heads of one vocabulary share: the step then
 * ends with `scaled` [1, H], which the output head turns into the last three of its outputs.
 */
import { GraphBuilder } from '@plateau/tensor-graph'
import { bilinearPairs } from './bilinear-pairs.js'
import {
  featureHeadParameter,
  type FeatureHead,
  type FeatureHeadLayer,
  type FeatureHeadTarget,
} from './feature-head.js'
import { draftOutputHead, draftVocabSize } from './feature-head-vocabulary.js'
import { multiplyBy } from './matrix-ops.js'
import type { PreparedMatrix } from './prepared-weights.js'
import { quantizeTo8Bits } from './quantize-blocks.js'

export interface DecodeGraphOptions {
  /** k. */
  readonly listedTokens: number
  /** int8: matrices in 8-bit blocks, a quarter of the bytes to read at every step. Default f32. */
  readonly weightFormat?: DraftWeightFormat
  /** `draftOutputMatrix` of a head with this vocabulary and format, when there is one already: it is most of the work. */
  readonly outputMatrix?: PreparedMatrix
}

export type DraftWeightFormat = 'f32' | 'int8'

/** The output head of a draft as its steps multiply it: the same for all heads of one vocabulary. */
export function draftOutputMatrix(
  head: FeatureHead,
  target: Pick<FeatureHeadTarget, 'head'>,
  format: DraftWeightFormat,
): PreparedMatrix {
  return preparedMatrix(draftOutputHead(head, target), head.config.hiddenSize, format)
}

function preparedMatrix(values: Float32Array, columns: number, format: DraftWeightFormat): PreparedMatrix {
  if (format === 'int8') return quantizeTo8Bits(values, columns)
  return { kind: 'floats', rows: values.length / columns, columns, values }
}

export function buildFeatureHeadDecodeGraph(
  head: FeatureHead,
  target: Pick<FeatureHeadTarget, 'head'>,
  options: DecodeGraphOptions,
): Uint8Array {
  const format = options.weightFormat ?? 'f32'
  const { graph, scaled } = decodeStep(head, format)
  const matrix = options.outputMatrix ?? draftOutputMatrix(head, target, format)
  predictTokens(graph, head, scaled, matrix, options.listedTokens)
  return graph.encode()
}

/** The step without its output head. */
export function buildFeatureHeadTrunkGraph(head: FeatureHead, weightFormat: DraftWeightFormat): Uint8Array {
  const { graph, scaled } = decodeStep(head, weightFormat)
  graph.output('scaled', scaled, 'f32', [1, head.config.hiddenSize])
  return graph.encode()
}

/** The output head of all heads with this one's vocabulary. */
export function buildDraftOutputGraph(head: FeatureHead, matrix: PreparedMatrix, listedTokens: number): Uint8Array {
  const graph = new GraphBuilder()
  const scaled = graph.input('scaled', 'f32', [1, head.config.hiddenSize])
  predictTokens(graph, head, scaled, matrix, listedTokens)
  return graph.encode()
}

function decodeStep(head: FeatureHead, format: DraftWeightFormat): { graph: GraphBuilder; scaled: string } {
  const { hiddenSize: h, layer } = head.config
  const graph = new GraphBuilder()
  const rows = layer === undefined ? 1 : 'S'
  const step = new DecodeOps(graph, head, format)

  const token = graph.input('token', 'f32', [rows, h])
  const feature = graph.input('feature', 'f32', [rows, h])
  let state = step.linear(step.pairRow(token, feature), 'fc.weight')
  if (layer !== undefined) state = step.decoderLayer(state, layer)
  const last = layer === undefined ? state : graph.op('Gather', [state, graph.ints(-1)], { attributes: { axis: 0 } })
  const hidden = step.norm(last, featureHeadParameter(head, 'norm.weight'))
  graph.output('hidden', hidden, 'f32', [1, h])
  const scaled = graph.op('Mul', [hidden, graph.scalar(featureHeadParameter(head, 'logit_scale')[0]!)])
  return { graph, scaled }
}

function predictTokens(
  graph: GraphBuilder,
  head: FeatureHead,
  scaled: string,
  matrix: PreparedMatrix,
  listedTokens: number,
): void {
  const k = Math.min(listedTokens, draftVocabSize(head.config))
  const logits = multiplyBy(graph)(scaled, matrix)
  const [topLogits = '', topIds = ''] = graph.ops('TopK', [logits, graph.ints(k)], 2, { attributes: { axis: -1 } })
  const logSumExp = graph.op('ReduceLogSumExp', [logits, graph.ints(1)], { attributes: { keepdims: 1 } })

  graph.output('top_logits', topLogits, 'f32', [1, k])
  graph.output('top_ids', targetIds(graph, head, topIds), 'i32', [1, k])
  graph.output('log_sum_exp', logSumExp, 'f32', [1, 1])
}

const onnxInt32 = 6

/** Rows of the draft's output head to the target's ids, int32. */
function targetIds(graph: GraphBuilder, { vocabulary }: FeatureHead, rows: string): string {
  if (vocabulary === undefined) return graph.op('Cast', [rows], { attributes: { to: onnxInt32 } })
  return graph.op('Gather', [graph.constant(vocabulary, [vocabulary.length]), rows])
}

class DecodeOps {
  readonly #graph: GraphBuilder
  readonly #head: FeatureHead
  readonly #format: DraftWeightFormat
  readonly #multiply: (x: string, matrix: PreparedMatrix) => string

  constructor(graph: GraphBuilder, head: FeatureHead, format: DraftWeightFormat) {
    this.#graph = graph
    this.#head = head
    this.#format = format
    this.#multiply = multiplyBy(graph)
  }

  /** [e, f, products of both] from e [S, H] and the raw feature [S, H]. */
  pairRow(e: string, feature: string): string {
    const { hiddenSize: h, bilinearFeatures: m } = this.#head.config
    const f = this.norm(feature, new Float32Array(h).fill(1))
    const parts = [e, f]
    if (m > 0) {
      const pairs = bilinearPairs(this.#head.config)
      const a = pairs ? this.#columns(e, pairs.token) : this.linear(e, 'bilinear.token.weight')
      const b = pairs ? this.#columns(f, pairs.feature) : this.linear(f, 'bilinear.feature.weight')
      parts.push(this.#graph.op('Mul', [a, b]))
    }
    return this.#graph.op('Concat', parts, { attributes: { axis: 1 } })
  }

  #columns(x: string, ids: Int32Array): string {
    return this.#graph.op('Gather', [x, this.#graph.constant(ids, [ids.length])], { attributes: { axis: 1 } })
  }

  decoderLayer(x: string, layer: FeatureHeadLayer): string {
    const attended = this.#add(x, this.#attention(this.#layerNorm(x, 'input_layernorm'), layer))
    const y = this.#layerNorm(attended, 'post_attention_layernorm')
    const gate = this.linear(y, 'layers.0.mlp.gate_proj.weight')
    const silu = this.#graph.op('Mul', [gate, this.#graph.op('Sigmoid', [gate])])
    const product = this.#graph.op('Mul', [silu, this.linear(y, 'layers.0.mlp.up_proj.weight')])
    return this.#add(attended, this.linear(product, 'layers.0.mlp.down_proj.weight'))
  }

  #attention(x: string, { heads, headDim: d, contextPositions: c }: FeatureHeadLayer): string {
    const graph = this.#graph
    const half = d / 2
    const cos = graph.input('cos', 'f32', ['S', half])
    const sin = graph.input('sin', 'f32', ['S', half])
    const pastKey = graph.input('past_key', 'f32', [heads, c, d])
    const pastValue = graph.input('past_value', 'f32', [heads, c, d])
    const mask = graph.input('mask', 'f32', ['S', 'CS'])
    const project = (name: string): string => {
      const flat = this.linear(x, `layers.0.self_attn.${name}.weight`)
      const split = graph.op('Reshape', [flat, graph.ints(-1, heads, d)])
      return graph.op('Transpose', [split], { attributes: { perm: [1, 0, 2] } }) // [heads, S, D]
    }
    const rotated = (y: string): string => {
      const [a = '', b = ''] = graph.ops('Split', [y, graph.ints(half, half)], 2, { attributes: { axis: 2 } })
      const times = (left: string, right: string): string => graph.op('Mul', [left, right])
      const first = graph.op('Sub', [times(a, cos), times(b, sin)])
      const second = graph.op('Add', [times(b, cos), times(a, sin)])
      return graph.op('Concat', [first, second], { attributes: { axis: 2 } })
    }
    const key = rotated(project('k_proj'))
    const value = project('v_proj')
    graph.output('key', key, 'f32', [heads, 'S', d])
    graph.output('value', value, 'f32', [heads, 'S', d])
    const query = graph.op('Mul', [rotated(project('q_proj')), graph.scalar(1 / Math.sqrt(d))])
    const along = (parts: string[]): string => graph.op('Concat', parts, { attributes: { axis: 1 } })
    const keys = graph.op('Transpose', [along([pastKey, key])], { attributes: { perm: [0, 2, 1] } })
    const scores = graph.op('Add', [graph.op('MatMul', [query, keys]), mask]) // [heads, S, C + S]
    const weights = graph.op('Softmax', [scores], { attributes: { axis: -1 } })
    const mixed = graph.op('MatMul', [weights, along([pastValue, value])])
    const merged = graph.op('Transpose', [mixed], { attributes: { perm: [1, 0, 2] } })
    const flat = graph.op('Reshape', [merged, graph.ints(-1, heads * d)])
    return this.linear(flat, 'layers.0.self_attn.o_proj.weight')
  }

  /** x w' for a parameter stored [out, in], x [S, in]. */
  linear(x: string, name: string): string {
    const columns = this.#head.parameters.get(name)?.shape[1] ?? 0
    return this.#multiply(x, preparedMatrix(featureHeadParameter(this.#head, name), columns, this.#format))
  }

  norm(x: string, weight: Float32Array): string {
    const attributes = { axis: -1, epsilon: { float: this.#head.config.rmsNormEps }, stash_type: 1 }
    return this.#graph.op('SimplifiedLayerNormalization', [x, this.#graph.constant(weight, [weight.length])], {
      attributes,
    })
  }

  #layerNorm(x: string, name: string): string {
    return this.norm(x, featureHeadParameter(this.#head, `layers.0.${name}.weight`))
  }

  #add(a: string, b: string): string {
    return this.#graph.op('Add', [a, b])
  }
}
