import { keptCount, sampleIndex, type Random, type Sampling, type SparseDistribution } from '@plateau/speculation'

/** What a draft's step says about the next position: its most probable tokens, most probable first, and their logits. */
export interface ListedLogits {
  readonly topIds: Int32Array
  readonly topLogits: Float32Array
  /** Over all of the draft's vocabulary. */
  readonly logSumExp: number
}

/**
 * At temperature 0 the most probable token; else a draw from q: the listed tokens after the request's sampling, its
 * processors included.
 *
 * @param ahead what was proposed before this token in the same round
 */
export function chooseToken(
  listed: Pick<ListedLogits, 'topIds' | 'topLogits'>,
  sampling: Sampling,
  random: Random,
  ahead: readonly number[],
): { readonly token: number; readonly distribution: SparseDistribution | undefined } {
  const { topIds, topLogits } = processed(listed, sampling, ahead)
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

interface Listing {
  readonly topIds: Int32Array
  readonly topLogits: Float32Array | Float64Array
}

/** The listing as the target will see it: in its new order, ties by id. */
function processed(listing: Listing, { processors }: Sampling, ahead: readonly number[]): Listing {
  if (processors === undefined) return listing
  const { topIds, topLogits } = listing
  const adjusted = Float64Array.from(topLogits, (logit, i) => processors.adjust(topIds[i]!, logit, ahead))
  const order = Int32Array.from(topIds.keys()).sort((a, b) => adjusted[b]! - adjusted[a]! || topIds[a]! - topIds[b]!)
  return { topIds: order.map((i) => topIds[i]!), topLogits: Float64Array.from(order, (i) => adjusted[i]!) }
}

/** Single precision, as it crosses the wire: the draw is from the very numbers that are sent. */
function normalized(values: Float32Array | Float64Array, weigh: (value: number) => number): Float32Array {
  const weights = Float64Array.from(values, weigh)
  const mass = weights.reduce((sum, weight) => sum + weight, 0)
  return Float32Array.from(weights, (weight) => weight / mass)
}
