import type { LogitProcessors } from './logit-processors.js'

/**
 * How tokens are drawn: processors, then temperature, then top_k, then top_p, in this order, for the target's p and the
 * draft's q alike.
 */
export interface Sampling {
  /** 0 = the most probable token (ties: lowest id). */
  readonly temperature: number
  /** Keep the topK most probable tokens; 0 = all. */
  readonly topK: number
  /** Keep the smallest most-probable set reaching topP, in (0, 1]. */
  readonly topP: number
  /** Penalties and biases of the response that is drawn; they know what it has emitted. */
  readonly processors?: LogitProcessors | undefined
}

/**
 * The plain reference: probabilities over the whole vocabulary after processors, temperature, top_k and top_p. Every
 * shorter way of getting at these numbers is tested against this one.
 *
 * @param ahead proposed tokens between what was emitted and this position: only processors look at them
 */
export function transformLogits(
  raw: ArrayLike<number>,
  sampling: Sampling,
  ahead: readonly number[] = [],
): Float64Array {
  const logits = sampling.processors?.apply(raw, ahead) ?? raw
  const probs = new Float64Array(logits.length)
  if (sampling.temperature === 0) {
    probs[argmax(logits)] = 1
    return probs
  }
  softmaxInto(probs, logits, sampling.temperature)
  if (sampling.topK === 0 && sampling.topP >= 1) return probs
  const order = byProbability(probs)
  const sorted = order.map((id) => probs[id]!)
  const kept = keptCount(sorted, probs.length, sampling)!
  for (const id of order.slice(kept)) probs[id] = 0
  const mass = sum(probs)
  for (let id = 0; id < probs.length; id++) probs[id]! /= mass
  return probs
}

/**
 * How many of the most probable tokens top_k and top_p leave, given the first `sorted.length` probabilities of the
 * vocabulary, most probable first, after temperature. Undefined when that listing is too short to tell.
 */
export function keptCount(sorted: ArrayLike<number>, vocabSize: number, sampling: Sampling): number | undefined {
  const limit = sampling.topK === 0 ? vocabSize : Math.min(sampling.topK, vocabSize)
  if (sampling.topP >= 1) return limit === vocabSize || limit <= sorted.length ? limit : undefined
  if (limit < vocabSize && limit > sorted.length) return undefined
  // top_p reads the probabilities as top_k left them: renormalised.
  let mass = 1
  if (limit < vocabSize) {
    mass = 0
    for (let i = 0; i < limit; i++) mass += sorted[i]!
  }
  let reached = 0
  for (let i = 0; i < Math.min(limit, sorted.length); i++) {
    reached += sorted[i]!
    if (reached >= sampling.topP * mass) return i + 1
  }
  return sorted.length >= limit ? limit : undefined
}

/** Index of the interval of the cumulated `weights` that u, in [0, 1), falls into. Weights need not sum to 1. */
export function sampleIndex(weights: ArrayLike<number>, u: number): number {
  let left = u * sum(weights)
  let last = -1
  for (let i = 0; i < weights.length; i++) {
    if (weights[i]! <= 0) continue
    last = i
    left -= weights[i]!
    if (left < 0) return i
  }
  if (last < 0) throw new RangeError('cannot draw: no weight is positive')
  // Rounding left a crumb beyond the last interval.
  return last
}

/** Index of the largest value; ties: lowest index. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

export function sum(values: ArrayLike<number>): number {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i]!
  return total
}

function softmaxInto(probs: Float64Array, logits: ArrayLike<number>, temperature: number): void {
  const top = logits[argmax(logits)]!
  for (let id = 0; id < probs.length; id++) probs[id] = Math.exp((logits[id]! - top) / temperature)
  const mass = sum(probs)
  for (let id = 0; id < probs.length; id++) probs[id]! /= mass
}

/** Ids, most probable first; ties: lowest id first. */
function byProbability(probs: Float64Array): number[] {
  return Array.from(probs.keys()).sort((a, b) => probs[b]! - probs[a]! || a - b)
}
