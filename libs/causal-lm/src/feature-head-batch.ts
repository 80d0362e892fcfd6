/**
 * The feature-fed head over a batch of B sequences of T pairs, as ONNX graphs of static shape with the parameters as
 * inputs (they are read in place, so training changes them between runs). N = B T rows, shorter sequences padded at
 * their end.
 *
 * Inputs of both: `token` [N, H] normalised embeddings, `feature` [N, H], `target_ids` [S, k] as rows of the draft's
 * output head, `head` [V, H] (`draftOutputHead`; V = the draft's vocabulary), and every parameter under its name.
 * Training: also `target_probs` [S, k], `row_weights` [S]; out `loss` [] and `gradient.<name>` of what is trained. S = N,
 * or, with `selectedRows`, the rows that `selected` [S] (i64) names: every row gives context to those after it, but only
 * these meet the output head, which is most of a step's work.
 * Scoring: S = N; out what scoreOutputs says, of the target's listed tokens.
 *
 * Unrolled, a step u > 1 predicts row r from the state that step u - 1 predicted for it and the token before r, as
 * drafting will; rows within u - 1 of their sequence's start have no such past and count nothing. The loss is the mean of
 * the steps' losses, each counting UNROLL_DECAY times as much as the one before.
 */
import { losses, Tape, type SparseLoss, type SparseTargets, type Tensor } from '@plateau/tensor-graph'
import { bilinearPairs } from './bilinear-pairs.js'
import { featureHeadShapes, type FeatureHeadConfig } from './feature-head.js'
import { draftVocabSize } from './feature-head-vocabulary.js'
import { scoreOutputs, type ScoreOptions } from './score-outputs.js'
import { gradientPrefix } from './train-graph.js'
import { UnrolledLayer } from './unrolled-layer.js'
import { earlierRows, laterRows } from './unrolled-rows.js'

export interface FeatureHeadBatchShape {
  readonly sequences: number
  readonly positions: number
  /** k: target tokens listed per row. */
  readonly listedTokens: number
  /** S; undefined: all rows. */
  readonly selectedRows?: number
}

export type DraftLoss = keyof typeof losses

export const draftLosses = Object.keys(losses) as DraftLoss[]

const UNROLL_DECAY = 0.8

export interface TrainedParts {
  /**
   * The matrices behind the bilinear features, too, which are fixed otherwise: sums of the closed form are of the features
   * as they were. For training that comes before all sums, from a recording.
   */
  readonly features?: boolean
}

export interface FeatureHeadTrainOptions extends TrainedParts {
  /** Steps over the head's own states; 1, the default: each row from the target's state only. */
  readonly unrolledSteps?: number
}

/** Parameters that gradients change. */
export function trainableFeatureHeadParameters(config: FeatureHeadConfig, { features }: TrainedParts = {}): string[] {
  return [...featureHeadShapes(config).keys()].filter((name) => features || !name.startsWith('bilinear.'))
}

export function buildFeatureHeadTrainGraph(
  config: FeatureHeadConfig,
  shape: FeatureHeadBatchShape,
  lossKind: DraftLoss,
  options: FeatureHeadTrainOptions = {},
): Uint8Array {
  const graph = new BatchGraph(config, shape, options)
  const { raw } = graph.tape
  const rows = graph.targetRows
  const targets: SparseTargets = {
    ids: raw.input('target_ids', [rows, shape.listedTokens], 'i64'),
    probs: raw.input('target_probs', [rows, shape.listedTokens]),
    weights: raw.input('row_weights', [rows]),
  }
  const selected = shape.selectedRows === undefined ? undefined : raw.input('selected', [rows], 'i64')
  const loss = graph.loss(losses[lossKind], targets, selected)
  raw.output('loss', loss)
  const names = trainableFeatureHeadParameters(config, options)
  const gradients = graph.tape.gradients(
    loss,
    names.map((name) => required(graph.parameters, name)),
  )
  gradients.forEach((gradient, i) => raw.output(`${gradientPrefix}${names[i]}`, gradient))
  return raw.graph.encode()
}

export function buildFeatureHeadScoreGraph(
  config: FeatureHeadConfig,
  shape: FeatureHeadBatchShape,
  options: ScoreOptions = {},
): Uint8Array {
  const graph = new BatchGraph(config, shape)
  const targetIds = graph.tape.raw.input('target_ids', [graph.targetRows, shape.listedTokens], 'i64')
  scoreOutputs(graph.tape, graph.logits(graph.firstStates()), targetIds, options)
  return graph.tape.raw.graph.encode()
}

class BatchGraph {
  readonly tape = new Tape()
  readonly parameters: ReadonlyMap<string, Tensor>
  readonly #config: FeatureHeadConfig
  readonly #shape: FeatureHeadBatchShape
  readonly #options: FeatureHeadTrainOptions
  readonly #steps: number
  readonly #token: Tensor
  readonly #feature: Tensor
  readonly #head: Tensor
  readonly #layer: UnrolledLayer | undefined

  constructor(config: FeatureHeadConfig, shape: FeatureHeadBatchShape, options: FeatureHeadTrainOptions = {}) {
    const { hiddenSize: h, layer } = config
    const { raw } = this.tape
    const rows = shape.sequences * shape.positions
    this.#config = config
    this.#shape = shape
    this.#options = options
    this.#steps = options.unrolledSteps ?? 1
    this.#token = raw.input('token', [rows, h])
    this.#feature = raw.input('feature', [rows, h])
    this.#head = raw.input('head', [draftVocabSize(config), h])
    const parameters = new Map([...featureHeadShapes(config)].map(([name, dims]) => [name, raw.input(name, dims)]))
    this.parameters = parameters
    const layerShape = { ...shape, steps: this.#steps }
    this.#layer =
      layer &&
      new UnrolledLayer(this.tape, config, layer, layerShape, (name) => required(parameters, `layers.0.${name}`))
  }

  /** S. */
  get targetRows(): number {
    return this.#shape.selectedRows ?? this.#shape.sequences * this.#shape.positions
  }

  loss(lossOf: SparseLoss, targets: SparseTargets, selected: Tensor | undefined): Tensor {
    const { tape } = this
    let states = this.firstStates()
    let total = lossOf(tape, this.logits(selected ? tape.gatherRows(states, selected) : states), targets)
    let [share, shares] = [1, 1]
    for (let back = 1; back < this.#steps; back++) {
      states = this.#nextStates(states, back)
      const past = earlierRows(tape.raw, this.#shape, back, selected)
      const weights = tape.raw.mul(targets.weights, past.exists)
      const loss = lossOf(tape, this.logits(tape.gatherRows(states, past.ids)), { ...targets, weights })
      share *= UNROLL_DECAY
      shares += share
      total = tape.add(total, tape.mul(loss, tape.raw.scalar(share)))
    }
    return this.#steps === 1 ? total : tape.mul(total, tape.raw.scalar(1 / shares))
  }

  /** Predicted from the target's states, [N, H]. */
  firstStates(): Tensor {
    const { tape, parameters } = this
    return this.#states(pairRows(tape, this.#config, this.#token, this.#feature, parameters, this.#options))
  }

  logits(states: Tensor): Tensor {
    return this.tape.linear(this.tape.mul(states, required(this.parameters, 'logit_scale')), this.#head)
  }

  /** Predicted from own states: row t holds what is `back` positions further than in the first step. */
  #nextStates(states: Tensor, back: number): Tensor {
    const { tape, parameters } = this
    const token = tape.raw.gatherRows(this.#token, laterRows(tape.raw, this.#shape, back))
    return this.#states(pairRows(tape, this.#config, token, states, parameters, { ...this.#options, states: true }))
  }

  #states(inputs: Tensor): Tensor {
    const projected = this.tape.linear(inputs, required(this.parameters, 'fc.weight'))
    const state = this.#layer?.next(projected) ?? projected
    return this.tape.rmsNorm(state, required(this.parameters, 'norm.weight'), this.#config.rmsNormEps)
  }
}

/** [e, n(f), products of both], [N, 2H + m]. Gradients are recorded where something in it is trained, or f depends on it. */
export function pairRows(
  tape: Tape,
  config: FeatureHeadConfig,
  e: Tensor,
  feature: Tensor,
  parameters: ReadonlyMap<string, Tensor>,
  { features = false, states = false }: TrainedParts & { readonly states?: boolean } = {},
): Tensor {
  const { raw } = tape
  const one = raw.constant(new Float32Array(config.hiddenSize).fill(1), [config.hiddenSize])
  const f = states ? tape.rmsNorm(feature, one, config.rmsNormEps) : raw.rmsNorm(feature, one, config.rmsNormEps).y
  const isRecorded = features || states
  const concat = (parts: readonly Tensor[]) => (isRecorded ? tape.concat(parts, 1) : raw.concat(parts, 1))
  if (config.bilinearFeatures === 0) return concat([e, f])
  const pairs = bilinearPairs(config)
  if (pairs !== undefined) {
    const a = raw.pickColumns(e, pairs.token)
    if (!states) return concat([e, f, raw.mul(a, raw.pickColumns(f, pairs.feature))])
    return concat([e, f, tape.mul(a, tape.pickColumns(f, pairs.feature))])
  }
  const [ra, rb] = [required(parameters, 'bilinear.token.weight'), required(parameters, 'bilinear.feature.weight')]
  const a = features ? tape.linear(e, ra) : raw.gemm(e, ra, { transB: true })
  const b = isRecorded ? tape.linear(f, rb) : raw.gemm(f, rb, { transB: true })
  return concat([e, f, isRecorded ? tape.mul(a, b) : raw.mul(a, b)])
}

function required(parameters: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const found = parameters.get(name)
  if (found === undefined) throw new RangeError(`the feature head has no parameter ${name}`)
  return found
}
