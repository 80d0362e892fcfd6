/**
 * The feature-fed head over a batch of B sequences of T pairs, as ONNX graphs of static shape with the parameters as
 * inputs (they are read in place, so training changes them between runs). N = B T rows, shorter sequences padded at
 * their end.
 *
 * Inputs of both: `token` [N, H] normalised embeddings, `feature` [N, H], `target_ids` [N, k] as rows of the draft's
 * output head, `head` [V, H] (`draftOutputHead`; V = the draft's vocabulary), and every parameter under its name.
 * Training: also `target_probs` [N, k], `row_weights` [N]; out `loss` [] and `gradient.<name>` of what is trained.
 * Scoring: out what scoreOutputs says, of the target's listed tokens.
 */
import { klLoss, Tape, totalVariationLoss, type Tensor } from '@plateau/tensor-graph'
import { bilinearPairs } from './bilinear-pairs.js'
import type { CausalLmConfig } from './config.js'
import { featureHeadShapes, type FeatureHeadConfig, type FeatureHeadLayer } from './feature-head.js'
import { draftVocabSize } from './feature-head-vocabulary.js'
import { scoreOutputs } from './score-outputs.js'
import { decoderBlock, gradientPrefix } from './train-graph.js'

export interface FeatureHeadBatchShape {
  readonly sequences: number
  readonly positions: number
  /** k: target tokens listed per row. */
  readonly listedTokens: number
}

export interface TrainedParts {
  /**
   * The matrices behind the bilinear features, too, which are fixed otherwise: sums of the closed form are of the features
   * as they were. For training that comes before all sums, from a recording.
   */
  readonly features?: boolean
}

/** Parameters that gradients change. */
export function trainableFeatureHeadParameters(config: FeatureHeadConfig, { features }: TrainedParts = {}): string[] {
  return [...featureHeadShapes(config).keys()].filter((name) => features || !name.startsWith('bilinear.'))
}

export function buildFeatureHeadTrainGraph(
  config: FeatureHeadConfig,
  shape: FeatureHeadBatchShape,
  lossKind: 'kl' | 'tv',
  trained: TrainedParts = {},
): Uint8Array {
  const { tape, parameters, logits, targetIds, rows } = batchGraph(config, shape, trained)
  const targets = {
    ids: targetIds,
    probs: tape.raw.input('target_probs', [rows, shape.listedTokens]),
    weights: tape.raw.input('row_weights', [rows]),
  }
  const loss = (lossKind === 'kl' ? klLoss : totalVariationLoss)(tape, logits, targets)
  tape.raw.output('loss', loss)
  const names = trainableFeatureHeadParameters(config, trained)
  const gradients = tape.gradients(
    loss,
    names.map((name) => required(parameters, name)),
  )
  gradients.forEach((gradient, i) => tape.raw.output(`${gradientPrefix}${names[i]}`, gradient))
  return tape.raw.graph.encode()
}

export function buildFeatureHeadScoreGraph(config: FeatureHeadConfig, shape: FeatureHeadBatchShape): Uint8Array {
  const { tape, logits, targetIds } = batchGraph(config, shape)
  scoreOutputs(tape, logits, targetIds)
  return tape.raw.graph.encode()
}

function batchGraph(config: FeatureHeadConfig, shape: FeatureHeadBatchShape, trained: TrainedParts = {}) {
  const { hiddenSize: h, layer } = config
  const v = draftVocabSize(config)
  const rows = shape.sequences * shape.positions
  const tape = new Tape()
  const { raw } = tape
  const token = raw.input('token', [rows, h])
  const feature = raw.input('feature', [rows, h])
  const targetIds = raw.input('target_ids', [rows, shape.listedTokens], 'i64')
  const head = raw.input('head', [v, h])
  const parameters = new Map([...featureHeadShapes(config)].map(([name, dims]) => [name, raw.input(name, dims)]))

  const inputs = pairRows(tape, config, token, feature, parameters, trained)
  let state = tape.linear(inputs, required(parameters, 'fc.weight'))
  if (layer !== undefined) {
    const block = decoderBlock(tape, layerConfig(config, layer), shape)
    state = block(state, (name) => required(parameters, `layers.0.${name}`))
  }
  const hidden = tape.rmsNorm(state, required(parameters, 'norm.weight'), config.rmsNormEps)
  const logits = tape.linear(tape.mul(hidden, required(parameters, 'logit_scale')), head)
  return { tape, parameters, logits, targetIds, rows }
}

/** [e, n(f), products of both], [N, 2H + m]. Gradients are recorded only where something in it is trained. */
export function pairRows(
  tape: Tape,
  config: FeatureHeadConfig,
  e: Tensor,
  feature: Tensor,
  parameters: ReadonlyMap<string, Tensor>,
  trained: TrainedParts = {},
): Tensor {
  const { raw } = tape
  const one = raw.constant(new Float32Array(config.hiddenSize).fill(1), [config.hiddenSize])
  const f = raw.rmsNorm(feature, one, config.rmsNormEps).y
  if (config.bilinearFeatures === 0) return raw.concat([e, f], 1)
  const pairs = bilinearPairs(config)
  if (pairs !== undefined) {
    return raw.concat([e, f, raw.mul(raw.pickColumns(e, pairs.token), raw.pickColumns(f, pairs.feature))], 1)
  }
  const [ra, rb] = [required(parameters, 'bilinear.token.weight'), required(parameters, 'bilinear.feature.weight')]
  if (trained.features) return tape.concat([e, f, tape.mul(tape.linear(e, ra), tape.linear(f, rb))], 1)
  const [a, b] = [raw.gemm(e, ra, { transB: true }), raw.gemm(f, rb, { transB: true })]
  return raw.concat([e, f, raw.mul(a, b)], 1)
}

/** The layer as the general decoder knows it: the head's own shapes, no vocabulary. */
function layerConfig(config: FeatureHeadConfig, layer: FeatureHeadLayer): CausalLmConfig {
  return {
    vocabSize: config.vocabSize,
    hiddenSize: config.hiddenSize,
    layers: 1,
    heads: layer.heads,
    kvHeads: layer.heads,
    headDim: layer.headDim,
    intermediateSize: layer.intermediateSize,
    rmsNormEps: config.rmsNormEps,
    ropeTheta: layer.ropeTheta,
    maxPositions: layer.contextPositions,
    tieEmbeddings: true,
    bosTokenId: undefined,
    eosTokenIds: [],
  }
}

function required(parameters: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const found = parameters.get(name)
  if (found === undefined) throw new RangeError(`the feature head has no parameter ${name}`)
  return found
}
