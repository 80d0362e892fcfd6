import { keptCount, sampleIndex, type Random, type Sampling, type SparseDistribution } from '@plateau/speculation'

/** What a draft's step says about the next position: its most probable tokens, most probable first, and their logits. */
export interface ListedLogits {
  readonly topIds: Int32Array
  readonly topLogits: Float32Array
  /** Over all of the draft's vocabulary. */
  readonly logSumExp: number
}

/** At temperature 0 the most probable token; else a draw from q: the listed tokens after the request's sampling. */
export function chooseToken(
  { topIds, topLogits }: Pick<ListedLogits, 'topIds' | 'topLogits'>,
  sampling: Sampling,
  random: Random,
): { readonly token: number; readonly distribution: SparseDistribution | undefined } {
  if (sampling.temperature === 0) return { token: topIds[0]!, distribution: undefined }
  const probs = normalized(topLogits, (logit) => Math.exp((logit - topLogits[0]!) / sampling.temperature))
  const kept = keptCount(probs, probs.length, sampling) ?? probs.length
  const distribution = { ids: topIds.subarray(0, kept), probs: normalized(probs.subarray(0, kept), (p) => p) }
  return { token: topIds[sampleIndex(distribution.probs, random())]!, distribution }
}

/** Probabilities at temperature 1 under the whole vocabulary: the tail is missing, so they sum to less than 1. */
export function rawDistribution({ topIds, topLogits, logSumExp }: ListedLogits): SparseDistribution {
  return { ids: topIds, probs: topLogits.map((logit) => Math.exp(logit - logSumExp)) }
}

/** Single precision, as it crosses the wire: the draw is from the very numbers that are sent. */
function normalized(values: Float32Array, weigh: (value: number) => number): Float32Array {
  const weights = Float64Array.from(values, weigh)
  const mass = weights.reduce((sum, weight) => sum + weight, 0)
  return Float32Array.from(weights, (weight) => weight / mass)
}
