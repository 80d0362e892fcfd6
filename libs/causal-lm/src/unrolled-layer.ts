import type { RotaryTable, Tape, Tensor } from '@plateau/tensor-graph'
import type { FeatureHeadConfig, FeatureHeadLayer } from './feature-head.js'
import { rotaryTable } from './rotary-table.js'
import { causalMask, gatedMlp, type LayerParameter } from './train-graph.js'

export interface LayerShape {
  /** B. */
  readonly sequences: number
  /** T. */
  readonly positions: number
  /** How many times `next` will be called. */
  readonly steps: number
}

/**
 * A head's decoder layer over B sequences of T rows, N = B T, unrolled over its own predictions. Row t of step 1 stands at
 * position t of its sequence and attends to the rows up to its own. Row t of step u continues what row t predicted: it
 * stands at position t + u - 1 and attends to the rows of step 1 up to t, and to row t of the steps since. That is what
 * drafting does: keys of what the target emitted, then keys of the guesses.
 */
export class UnrolledLayer {
  readonly #tape: Tape
  readonly #epsilon: number
  readonly #layer: FeatureHeadLayer
  readonly #shape: LayerShape
  readonly #parameter: LayerParameter
  readonly #rotation: RotaryTable
  readonly #mask: Tensor
  /** Of every step so far, [B, heads, T, D]. */
  readonly #keys: Tensor[] = []
  readonly #values: Tensor[] = []

  constructor(
    tape: Tape,
    config: FeatureHeadConfig,
    layer: FeatureHeadLayer,
    shape: LayerShape,
    parameter: LayerParameter,
  ) {
    this.#tape = tape
    this.#epsilon = config.rmsNormEps
    this.#layer = layer
    this.#shape = shape
    this.#parameter = parameter
    this.#rotation = rotaryTable(layer, shape.positions + shape.steps - 1)
    this.#mask = causalMask(tape, shape.positions)
  }

  /** The next step's output, [N, H], from its input [N, H]. */
  next(x: Tensor): Tensor {
    const tape = this.#tape
    const attended = tape.add(x, this.#attention(this.#norm(x, 'input_layernorm')))
    return tape.add(attended, gatedMlp(tape, this.#norm(attended, 'post_attention_layernorm'), this.#parameter))
  }

  #attention(x: Tensor): Tensor {
    const tape = this.#tape
    const { sequences: b, positions: t } = this.#shape
    const { heads, headDim: d } = this.#layer
    const rotation = this.#rotationFrom(this.#keys.length)
    const query = tape.rope(this.#project(x, 'q_proj'), rotation)
    this.#keys.push(tape.rope(this.#project(x, 'k_proj'), rotation))
    this.#values.push(this.#project(x, 'v_proj'))
    const mixed = this.#mix(query)
    const merged = tape.reshape(tape.transpose(mixed, [0, 2, 1, 3]), [b * t, heads * d])
    return tape.linear(merged, this.#parameter('self_attn.o_proj.weight'))
  }

  /** [B, heads, T, D]. */
  #mix(query: Tensor): Tensor {
    const tape = this.#tape
    const [firstKey, ...laterKeys] = this.#keys
    const [firstValue, ...laterValues] = this.#values
    const scale = 1 / Math.sqrt(this.#layer.headDim)
    const base = tape.add(tape.batchedMatmul(query, firstKey!, { transB: true, scale }), this.#mask)
    if (laterKeys.length === 0) return tape.batchedMatmul(tape.softmax(base), firstValue!)
    const scaled = tape.mul(query, tape.raw.scalar(scale))
    const own = laterKeys.map((key) => tape.sumLast(tape.mul(scaled, key)))
    const weights = tape.softmax(tape.concat([base, ...own], 3))
    const [baseWeights, ...ownWeights] = tape.split(weights, [this.#shape.positions, ...own.map(() => 1)], 3)
    return laterValues.reduce(
      (mixed, value, i) => tape.add(mixed, tape.mul(value, ownWeights[i]!)),
      tape.batchedMatmul(baseWeights!, firstValue!),
    )
  }

  #project(x: Tensor, name: string): Tensor {
    const tape = this.#tape
    const { sequences: b, positions: t } = this.#shape
    const { heads, headDim: d } = this.#layer
    const flat = tape.linear(x, this.#parameter(`self_attn.${name}.weight`))
    return tape.transpose(tape.reshape(flat, [b, t, heads, d]), [0, 2, 1, 3])
  }

  #norm(x: Tensor, name: string): Tensor {
    return this.#tape.rmsNorm(x, this.#parameter(`${name}.weight`), this.#epsilon)
  }

  /** The table of positions `offset` and on. */
  #rotationFrom(offset: number): RotaryTable {
    if (offset === 0) return this.#rotation
    const start = (offset * this.#layer.headDim) / 2
    return { cos: this.#rotation.cos.subarray(start), sin: this.#rotation.sin.subarray(start) }
  }
}
