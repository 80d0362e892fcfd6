/**
 * The training step of a Llama-family decoder as one ONNX graph of static shape: parameters and a batch in, the loss and
 * its gradients out. The optimiser stays outside: outputs are copied, and gradients are a third of what an optimiser in
 * the graph would return.
 *
 * B sequences of T tokens, N = B T rows. Inputs: `input_ids` [N], `target_ids` [S, k] and `target_probs` [S, k] (what
 * follows each token: one token of probability 1, or a teacher's top k), `row_weights` [S], and every parameter under
 * its Hugging Face name. Outputs: `loss` [], and `gradient.<parameter name>`. S = N, or, with `selectedRows`, the rows that
 * `selected` [S] (i64) names: every row is context to those after it, but only these meet the final norm and the output
 * head.
 */
import { losses, Tape, type RotaryTable, type Tensor } from '@plateau/tensor-graph'
import { parameterShapes, type CausalLmConfig } from './config.js'
import { rotaryTable } from './rotary-table.js'

export interface TrainGraphShape {
  readonly sequences: number
  readonly positions: number
  /** k: how many target tokens a row lists. */
  readonly targetsPerRow: number
  /** S; undefined: all rows. */
  readonly selectedRows?: number
}

export interface TrainGraphOptions {
  /** "kl" by default: the cross-entropy when targets are single tokens. */
  readonly loss?: keyof typeof losses
  /** false: only the loss, for evaluation. */
  readonly gradients?: boolean
}

export interface TrainGraph {
  readonly model: Uint8Array
  /** Floating-point operations of the matrix products of one run. */
  readonly matmulFlops: number
}

export const gradientPrefix = 'gradient.'

export function buildTrainGraph(
  config: CausalLmConfig,
  shape: TrainGraphShape,
  options: TrainGraphOptions = {},
): TrainGraph {
  const tape = new Tape()
  const { raw } = tape
  const ids = raw.input('input_ids', [shape.sequences * shape.positions], 'i64')
  const rows = shape.selectedRows ?? shape.sequences * shape.positions
  const selected = shape.selectedRows === undefined ? undefined : raw.input('selected', [rows], 'i64')
  const targets = {
    ids: raw.input('target_ids', [rows, shape.targetsPerRow], 'i64'),
    probs: raw.input('target_probs', [rows, shape.targetsPerRow]),
    weights: raw.input('row_weights', [rows]),
  }
  const parameters = new Map([...parameterShapes(config)].map(([name, dims]) => [name, raw.input(name, dims)]))

  const logits = causalLmLogits(tape, config, shape, parameters, ids, selected)
  const loss = losses[options.loss ?? 'kl']
  const lossValue = loss(tape, logits, targets)
  raw.output('loss', lossValue)
  if (options.gradients !== false) {
    const names = [...parameters.keys()]
    const gradients = tape.gradients(lossValue, [...parameters.values()])
    gradients.forEach((gradient, i) => raw.output(`${gradientPrefix}${names[i]}`, gradient))
  }
  return { model: raw.graph.encode(), matmulFlops: raw.matmulFlops }
}

/**
 * Token ids [N] to logits [N, V], or of the rows `selected` [S] alone, [S, V]. Throws RangeError for what only decoding
 * knows: biases, QK norm, sliding windows.
 */
export function causalLmLogits(
  tape: Tape,
  config: CausalLmConfig,
  shape: TrainGraphShape,
  parameters: ReadonlyMap<string, Tensor>,
  ids: Tensor,
  selected?: Tensor,
): Tensor {
  for (const option of ['attentionBias', 'qkNorm', 'slidingWindow'] as const) {
    if (config[option]) throw new RangeError(`a model with ${option} cannot be trained here`)
  }
  const parameter = (name: string): Tensor => {
    const found = parameters.get(name)
    if (found === undefined) throw new RangeError(`the model has no parameter named ${name}`)
    return found
  }
  const block = decoderBlock(tape, config, shape)
  const embedding = parameter('model.embed_tokens.weight')
  let hidden = tape.gatherRows(embedding, ids)
  for (let layer = 0; layer < config.layers; layer++) {
    hidden = block(hidden, (name) => parameter(`model.layers.${layer}.${name}`))
  }
  const read = selected === undefined ? hidden : tape.gatherRows(hidden, selected)
  const normed = tape.rmsNorm(read, parameter('model.norm.weight'), config.rmsNormEps)
  return tape.linear(normed, config.tieEmbeddings ? embedding : parameter('lm_head.weight'))
}

/** One layer's parameter under its name inside the layer, for example "self_attn.q_proj.weight". */
export type LayerParameter = (name: string) => Tensor

/**
 * A decoder layer, [N, H] to [N, H], causal within each sequence. Made once per graph, so that all its layers share the
 * mask and the rotary tables.
 */
function decoderBlock(
  tape: Tape,
  config: CausalLmConfig,
  shape: Pick<TrainGraphShape, 'sequences' | 'positions'>,
): (hidden: Tensor, parameter: LayerParameter) => Tensor {
  const table = rotaryTable(config, shape.positions)
  const mask = causalMask(tape, shape.positions)
  return (hidden, parameter) => {
    const attentionIn = tape.rmsNorm(hidden, parameter('input_layernorm.weight'), config.rmsNormEps)
    const attended = tape.add(hidden, attention(tape, config, shape, attentionIn, parameter, table, mask))
    const mlpIn = tape.rmsNorm(attended, parameter('post_attention_layernorm.weight'), config.rmsNormEps)
    return tape.add(attended, gatedMlp(tape, mlpIn, parameter))
  }
}

function attention(
  tape: Tape,
  config: CausalLmConfig,
  { sequences: b, positions: t }: Pick<TrainGraphShape, 'sequences' | 'positions'>,
  x: Tensor,
  parameter: LayerParameter,
  table: RotaryTable,
  mask: Tensor,
): Tensor {
  const { heads, kvHeads, headDim: d } = config
  const group = heads / kvHeads
  if (!Number.isInteger(group)) throw new RangeError(`${heads} heads cannot share ${kvHeads} key-value heads evenly`)
  const project = (name: string, count: number): Tensor => {
    const flat = tape.linear(x, parameter(`self_attn.${name}.weight`)) // [N, count D]
    return tape.transpose(tape.reshape(flat, [b, t, count, d]), [0, 2, 1, 3]) // [B, count, T, D]
  }
  const q = tape.rope(project('q_proj', heads), table)
  const k = tape.rope(project('k_proj', kvHeads), table)
  const v = project('v_proj', kvHeads)
  // Query heads that share a key head lie side by side: their rows become one longer matrix.
  const grouped = tape.reshape(q, [b, kvHeads, group * t, d])
  const scores = tape.batchedMatmul(grouped, k, { transB: true, scale: 1 / Math.sqrt(d) }) // [B, kv, group T, T]
  const masked = tape.add(tape.reshape(scores, [b, heads, t, t]), mask)
  const weights = tape.reshape(tape.softmax(masked), [b, kvHeads, group * t, t])
  const mixed = tape.reshape(tape.batchedMatmul(weights, v), [b, heads, t, d])
  const merged = tape.reshape(tape.transpose(mixed, [0, 2, 1, 3]), [b * t, heads * d])
  return tape.linear(merged, parameter('self_attn.o_proj.weight'))
}

/** down(silu(gate x) * up x), [N, H] to [N, H]. */
export function gatedMlp(tape: Tape, x: Tensor, parameter: LayerParameter): Tensor {
  const gate = tape.silu(tape.linear(x, parameter('mlp.gate_proj.weight')))
  const up = tape.linear(x, parameter('mlp.up_proj.weight'))
  return tape.linear(tape.mul(gate, up), parameter('mlp.down_proj.weight'))
}

/** Large rather than infinite: infinities become NaN in the softmax's backward pass. */
export function causalMask(tape: Tape, positions: number): Tensor {
  const mask = new Float32Array(positions * positions)
  for (let row = 0; row < positions; row++) mask.fill(-1e9, row * positions + row + 1, (row + 1) * positions)
  return tape.raw.constant(mask, [1, 1, positions, positions])
}
