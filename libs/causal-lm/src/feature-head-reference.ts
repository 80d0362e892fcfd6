/** The feature-fed head in plain TypeScript and double precision: slow, short, and what the graphs are tested against. */
import { bilinearPairs } from './bilinear-pairs.js'
import { featureHeadInputs, featureHeadParameter, type FeatureHead, type FeatureHeadTarget } from './feature-head.js'

export interface FeatureHeadOutput {
  /** The predicted hidden state, [H]. */
  readonly hidden: Float64Array
  /** Scaled logits, [V]; minus infinity for tokens outside the draft's vocabulary. */
  readonly logits: Float64Array
}

/** Predictions after each of a run of pairs (token, feature row), each attending to the pairs before it. */
export function referenceFeatureHead(
  head: FeatureHead,
  target: FeatureHeadTarget,
  tokens: readonly number[],
  features: readonly ArrayLike<number>[],
): FeatureHeadOutput[] {
  const { config } = head
  const h = config.hiddenSize
  const parameter = (name: string): Float32Array => featureHeadParameter(head, name)
  const rows = tokens.map((token, i) =>
    matvec(parameter('fc.weight'), featureHeadRow(head, target, token, features[i]!)),
  )
  const states = config.layer === undefined ? rows : decoderLayer(head, rows)
  return states.map((state) => {
    const hidden = normalize(state, config.rmsNormEps).map((x, i) => x * parameter('norm.weight')[i]!)
    const scale = parameter('logit_scale')[0]!
    const logits = new Float64Array(config.vocabSize).fill(Number.NEGATIVE_INFINITY)
    for (const v of head.vocabulary ?? logits.keys()) {
      let sum = 0
      for (let i = 0; i < h; i++) sum += target.head[v * h + i]! * hidden[i]!
      logits[v] = scale * sum
    }
    return { hidden, logits }
  })
}

/** x = [e, f, products of both] of one pair, [2H + m]. */
export function featureHeadRow(
  head: FeatureHead,
  target: Pick<FeatureHeadTarget, 'embeddings'>,
  token: number,
  feature: ArrayLike<number>,
): Float64Array {
  const { config } = head
  const h = config.hiddenSize
  const e = normalize(target.embeddings.subarray(token * h, (token + 1) * h), config.rmsNormEps)
  const f = normalize(feature, config.rmsNormEps)
  const row = new Float64Array(featureHeadInputs(config))
  row.set(e)
  row.set(f, h)
  const pairs = bilinearPairs(config)
  if (pairs !== undefined) {
    row.set(
      Float64Array.from(pairs.token, (i, k) => e[i]! * f[pairs.feature[k]!]!),
      2 * h,
    )
  } else if (config.bilinearFeatures > 0) {
    const a = matvec(featureHeadParameter(head, 'bilinear.token.weight'), e)
    const b = matvec(featureHeadParameter(head, 'bilinear.feature.weight'), f)
    row.set(
      a.map((x, i) => x * b[i]!),
      2 * h,
    )
  }
  return row
}

function decoderLayer(head: FeatureHead, rows: readonly Float64Array[]): Float64Array[] {
  const { layer, rmsNormEps } = head.config
  if (layer === undefined) throw new RangeError('this feature head has no decoder layer')
  const weight = (name: string): Float32Array => featureHeadParameter(head, `layers.0.${name}.weight`)
  const scaled = (x: ArrayLike<number>, name: string): Float64Array =>
    normalize(x, rmsNormEps).map((value, i) => value * weight(name)[i]!)
  const turned = (x: Float64Array, position: number): Float64Array =>
    rotate(x, position, layer.headDim, layer.ropeTheta)
  const inputs = rows.map((row) => scaled(row, 'input_layernorm'))
  const queries = inputs.map((x, t) => turned(matvec(weight('self_attn.q_proj'), x), t))
  const keys = inputs.map((x, t) => turned(matvec(weight('self_attn.k_proj'), x), t))
  const values = inputs.map((x) => matvec(weight('self_attn.v_proj'), x))
  return rows.map((row, t) => {
    const mixed = new Float64Array(layer.heads * layer.headDim)
    for (let start = 0; start < mixed.length; start += layer.headDim) {
      const scores = keys.slice(0, t + 1).map((key) => {
        let sum = 0
        for (let i = start; i < start + layer.headDim; i++) sum += queries[t]![i]! * key[i]!
        return Math.exp(sum / Math.sqrt(layer.headDim))
      })
      const total = scores.reduce((sum, score) => sum + score, 0)
      for (let i = start; i < start + layer.headDim; i++) {
        mixed[i] = scores.reduce((sum, score, past) => sum + (score / total) * values[past]![i]!, 0)
      }
    }
    const attended = added(row, matvec(weight('self_attn.o_proj'), mixed))
    const x = scaled(attended, 'post_attention_layernorm')
    const gate = matvec(weight('mlp.gate_proj'), x).map((value) => value / (1 + Math.exp(-value)))
    const up = matvec(weight('mlp.up_proj'), x)
    return added(
      attended,
      matvec(
        weight('mlp.down_proj'),
        gate.map((value, i) => value * up[i]!),
      ),
    )
  })
}

/** Halves rotated: (a, b) -> (a cos - b sin, b cos + a sin). */
function rotate(x: Float64Array, position: number, headDim: number, theta: number): Float64Array {
  const out = new Float64Array(x.length)
  const half = headDim / 2
  for (let start = 0; start < x.length; start += headDim) {
    for (let i = 0; i < half; i++) {
      const angle = position / theta ** ((2 * i) / headDim)
      const [a, b] = [x[start + i]!, x[start + half + i]!]
      out[start + i] = a * Math.cos(angle) - b * Math.sin(angle)
      out[start + half + i] = b * Math.cos(angle) + a * Math.sin(angle)
    }
  }
  return out
}

function normalize(x: ArrayLike<number>, epsilon: number): Float64Array {
  let squares = 0
  for (let i = 0; i < x.length; i++) squares += x[i]! ** 2
  const scale = 1 / Math.sqrt(squares / x.length + epsilon)
  return Float64Array.from(x, (value) => value * scale)
}

/** w x for w [out, in], row-major. */
function matvec(w: Float32Array, x: Float64Array): Float64Array {
  return Float64Array.from({ length: w.length / x.length }, (_, row) => {
    let sum = 0
    for (let i = 0; i < x.length; i++) sum += w[row * x.length + i]! * x[i]!
    return sum
  })
}

function added(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!)
}
