/**
 * What a feature-fed head learns from. Row r says: from the token `tokens[r]` and the hidden state it was drawn from,
 * `features[r]`, predict the next position, whose distribution and hidden state are known.
 */
import { checkFeatureHeadFits, reciprocalRms, type FeatureHeadConfig, type FeatureHeadTarget } from '@plateau/causal-lm'

export interface DraftRows {
  /** n. Rows are consecutive positions of one response. */
  readonly length: number
  readonly tokens: Int32Array
  /** [n, H]. */
  readonly features: Float32Array
  /** [n, H]: the hidden state of the predicted position. */
  readonly nextFeatures: Float32Array
  /** k. */
  readonly listed: number
  /** [n, k], most probable first: the predicted position's distribution. */
  readonly listedIds: Int32Array
  /** [n, k]. */
  readonly listedProbs: Float32Array
  /** [n]: what the scorer says a row counts in the closed form. */
  readonly weights: Float32Array
}

/** The target as its drafts need it. */
export interface DraftTarget extends FeatureHeadTarget {
  /** [V]: row v of n(E) is row v of E times this. */
  readonly embeddingScales: Float32Array
}

export function prepareDraftTarget(target: FeatureHeadTarget, config: FeatureHeadConfig): DraftTarget {
  checkFeatureHeadFits(config, target)
  return { ...target, embeddingScales: reciprocalRms(target.embeddings, config.hiddenSize, config.rmsNormEps) }
}

/** These rows, each counting 1 in the closed form: there rows stand alone, and need not follow each other. */
export function pickRows(rows: DraftRows, picked: readonly number[]): DraftRows {
  const hidden = rows.length === 0 ? 0 : rows.features.length / rows.length
  const { listed } = rows
  return {
    length: picked.length,
    tokens: pickedRows(rows.tokens, 1, picked),
    features: pickedRows(rows.features, hidden, picked),
    nextFeatures: pickedRows(rows.nextFeatures, hidden, picked),
    listed,
    listedIds: pickedRows(rows.listedIds, listed, picked),
    listedProbs: pickedRows(rows.listedProbs, listed, picked),
    weights: new Float32Array(picked.length).fill(1),
  }
}

function pickedRows<T extends Float32Array | Int32Array>(from: T, width: number, picked: readonly number[]): T {
  const to = new (from.constructor as new (length: number) => T)(picked.length * width)
  picked.forEach((row, i) => to.set(from.subarray(row * width, (row + 1) * width), i * width))
  return to
}

/** Writes the normalised embeddings of `tokens` to the rows of `out` from row `row` on. */
export function embedRows(
  { norm, embeddings, embeddingScales }: DraftTarget,
  tokens: Int32Array | readonly number[],
  out: Float32Array,
  row: number,
): void {
  const hidden = norm.length
  for (let i = 0; i < tokens.length; i++) {
    const from = tokens[i]! * hidden
    const to = (row + i) * hidden
    const scale = embeddingScales[tokens[i]!]!
    for (let j = 0; j < hidden; j++) out[to + j] = embeddings[from + j]! * scale
  }
}
