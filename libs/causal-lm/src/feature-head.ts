/**
 * A feature-fed draft head (the shape of EAGLE): it predicts the target's next hidden state from the token just emitted
 * and the hidden state it was drawn from, and reads that state with the target's own output head.
 *
 *     n(x) = x / rms(x)      e = n(E[token])      f = n(feature)
 *     x    = [e, f, products of e and f]                         [2H + m]   fixed random bilinear features, m may be 0
 *     y    = layer(fc x)                                          one decoder layer over the last positions, or none
 *     h    = n(y) * norm                                          [H]       the predicted hidden state
 *     q    = softmax(scale * head h)                              [V], or the rows of a draft vocabulary only
 *
 * E and head are the target's and stay with the target. To draft further, h takes the feature's place. `fc` has a closed
 * form (libs/training); a head without a layer is that closed form and nothing else. A layer whose attention output and
 * feed-forward output are zero is the identity, so gradients can start from the closed form.
 */
import { checkParameters } from './check-parameters.js'
import type { Parameter, Parameters } from './config.js'
import { checkVocabulary } from './feature-head-vocabulary.js'
import { fillNormal } from './initial-parameters.js'

export interface FeatureHeadConfig {
  /** H, the target's hidden size. */
  readonly hiddenSize: number
  /** V, the target's vocabulary: any token of it can be fed in. */
  readonly vocabSize: number
  /** How many tokens can be proposed: the head's `vocabulary` lists them. Undefined: all V. */
  readonly draftVocabSize?: number
  /** m; 0 = linear in the pair. */
  readonly bilinearFeatures: number
  /**
   * Set: feature k is e[i] f[j] with (i, j) drawn from this seed (`bilinearPairs`), which costs next to nothing and need
   * not be stored. Not set: (Ra e) * (Rb f) with two random matrices among the parameters.
   */
  readonly bilinearSeed?: number
  readonly rmsNormEps: number
  /** Undefined: no decoder layer. */
  readonly layer: FeatureHeadLayer | undefined
}

export interface FeatureHeadLayer {
  readonly heads: number
  readonly headDim: number
  readonly intermediateSize: number
  readonly ropeTheta: number
  /** How many earlier positions the layer attends to when drafting. */
  readonly contextPositions: number
}

/** What the head borrows from its target. */
export interface FeatureHeadTarget {
  /** E, [V, H]. */
  readonly embeddings: Float32Array
  /** [V, H]; the embeddings themselves where the target ties them. */
  readonly head: Float32Array
  /** The final norm's weight, [H]. */
  readonly norm: Float32Array
}

export interface FeatureHead {
  readonly config: FeatureHeadConfig
  readonly parameters: Parameters
  /** The target's ids of the tokens that can be proposed, ascending, `draftVocabSize` of them. Undefined: all V. */
  readonly vocabulary?: Int32Array
}

/** 2H + m: the width of x above. */
export function featureHeadInputs(config: FeatureHeadConfig): number {
  return 2 * config.hiddenSize + config.bilinearFeatures
}

/** Names and shapes of every parameter, in a fixed order. `bilinear.*` are fixed at birth and never trained. */
export function featureHeadShapes(config: FeatureHeadConfig): Map<string, readonly number[]> {
  const { hiddenSize: h, bilinearFeatures: m, bilinearSeed, layer } = config
  const shapes = new Map<string, readonly number[]>([['fc.weight', [h, featureHeadInputs(config)]]])
  if (m > 0 && bilinearSeed === undefined) {
    shapes.set('bilinear.token.weight', [m, h])
    shapes.set('bilinear.feature.weight', [m, h])
  }
  if (layer !== undefined) for (const [name, shape] of layerShapes(h, layer)) shapes.set(`layers.0.${name}`, shape)
  shapes.set('norm.weight', [h])
  shapes.set('logit_scale', [1])
  return shapes
}

function layerShapes(
  h: number,
  { heads, headDim, intermediateSize: f }: FeatureHeadLayer,
): [string, readonly number[]][] {
  const width = heads * headDim
  return [
    ['input_layernorm.weight', [h]],
    ['self_attn.q_proj.weight', [width, h]],
    ['self_attn.k_proj.weight', [width, h]],
    ['self_attn.v_proj.weight', [width, h]],
    ['self_attn.o_proj.weight', [h, width]],
    ['post_attention_layernorm.weight', [h]],
    ['mlp.gate_proj.weight', [f, h]],
    ['mlp.up_proj.weight', [f, h]],
    ['mlp.down_proj.weight', [h, f]],
  ]
}

export const defaultLogitScale = 0.8

/**
 * A head that has learned nothing: it proposes, and is nearly always rejected.
 *
 * @param random uniform in [0, 1)
 */
export function initialFeatureHead(
  config: FeatureHeadConfig,
  target: Pick<FeatureHeadTarget, 'norm'>,
  random: () => number,
): FeatureHead {
  const parameters = new Map<string, Parameter>()
  for (const [name, shape] of featureHeadShapes(config)) {
    const data = new Float32Array(shape.reduce((product, length) => product * length, 1))
    if (name === 'norm.weight') data.set(target.norm)
    else if (name === 'logit_scale') data.fill(defaultLogitScale)
    else if (name.endsWith('layernorm.weight')) data.fill(1)
    // Zero where the layer adds to the stream: it begins as the identity.
    else if (!name.endsWith('o_proj.weight') && !name.endsWith('down_proj.weight')) {
      fillNormal(data, 1 / Math.sqrt(config.hiddenSize), random)
    }
    parameters.set(name, { shape, data })
  }
  return { config, parameters }
}

/** The same head with other parameters in the named places. */
export function withParameters(head: FeatureHead, changes: Readonly<Record<string, Float32Array>>): FeatureHead {
  const parameters = new Map(head.parameters)
  for (const [name, data] of Object.entries(changes)) {
    const shape = featureHeadShapes(head.config).get(name)
    if (shape === undefined) throw new RangeError(`a feature head of this configuration has no parameter ${name}`)
    parameters.set(name, { shape, data })
  }
  return { ...head, parameters }
}

/** The same function with a decoder layer added (as the identity), so that gradients have something to train. */
export function withLayer(head: FeatureHead, layer: FeatureHeadLayer, random: () => number): FeatureHead {
  const config = { ...head.config, layer }
  const norm = featureHeadParameter(head, 'norm.weight')
  const fresh = initialFeatureHead(config, { norm }, random)
  return { ...head, config, parameters: new Map([...fresh.parameters, ...head.parameters]) }
}

/** One Llama layer of the target's width, as gradients train it on top of a closed form. */
export function gradientLayer(hiddenSize: number): FeatureHeadLayer {
  const headDim = Math.min(64, hiddenSize - (hiddenSize % 2))
  return {
    heads: Math.max(1, Math.round(hiddenSize / headDim)),
    headDim,
    intermediateSize: 8 * Math.max(1, Math.round(hiddenSize / 3)),
    ropeTheta: 10_000,
    contextPositions: 64,
  }
}

/** The same head without its decoder layer. */
export function withoutLayer(head: FeatureHead): FeatureHead {
  const config = { ...head.config, layer: undefined }
  const names = featureHeadShapes(config)
  return { ...head, config, parameters: new Map([...head.parameters].filter(([name]) => names.has(name))) }
}

export function featureHeadParameter({ parameters }: FeatureHead, name: string): Float32Array {
  const found = parameters.get(name)
  if (found === undefined) throw new RangeError(`the feature head has no parameter ${name}`)
  return found.data
}

/** Throws RangeError naming what is missing, misshapen, unknown or not finite. */
export function checkFeatureHead({ config, parameters, vocabulary }: FeatureHead): void {
  checkVocabulary(config, vocabulary)
  checkParameters('feature head', parameters, featureHeadShapes(config))
}

/** Throws RangeError when the head was made for a target of other shapes. */
export function checkFeatureHeadFits(config: FeatureHeadConfig, target: FeatureHeadTarget): void {
  const { hiddenSize: h, vocabSize: v } = config
  if (target.norm.length !== h) throw new RangeError(`the draft has hidden size ${h}, its target ${target.norm.length}`)
  if (target.embeddings.length !== v * h || target.head.length !== v * h) {
    throw new RangeError(`the draft has a vocabulary of ${v} tokens, its target ${target.embeddings.length / h}`)
  }
}

/** 1 / rms of every row, [rows]: n(E) without a second table of the embeddings' size. */
export function reciprocalRms(rows: Float32Array, width: number, epsilon: number): Float32Array {
  return Float32Array.from({ length: rows.length / width }, (_, row) => {
    let squares = 0
    for (let i = row * width; i < (row + 1) * width; i++) squares += rows[i]! ** 2
    return 1 / Math.sqrt(squares / width + epsilon)
  })
}
