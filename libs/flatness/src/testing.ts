// Distributions for tests: from softmaxed noise of any temperature, and the corners. Windows and streams of them.

import { lotOf } from './arm.js'
import type { WindowStatistics } from './strategies/strategy.js'
import { perplexityOf } from './token-statistics.js'

/** Mulberry32: small, seeded, good enough to draw test data. Numbers in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Softmax of Gaussian-like logits times `peak`, most probable first. `peak` 0 is uniform, 20 is nearly one-hot. */
export function distribution(random: () => number, vocabSize: number, peak: number): Float64Array {
  const logits = new Float64Array(vocabSize)
  for (let v = 0; v < vocabSize; v++) logits[v] = peak * (random() + random() + random() - 1.5)
  const top = logits.reduce((a, b) => Math.max(a, b))
  let sum = 0
  for (let v = 0; v < vocabSize; v++) sum += logits[v] = Math.exp(logits[v]! - top)
  return logits.map((e) => e / sum).toSorted((a, b) => b - a)
}

export function sumSquaresOf(probabilities: Float64Array): number {
  return probabilities.reduce((sum, p) => sum + p * p, 0)
}

export function tailOf(probabilities: Float64Array, k: number): number {
  return probabilities.subarray(k).reduce((sum, p) => sum + p, 0)
}

/** A window of which only what is given matters: lists default to flatness-like numbers, no draft took part. */
export function windowWith(
  parts: Partial<Omit<WindowStatistics, ListName>> & { readonly [K in ListName]?: ArrayLike<number> },
): WindowStatistics {
  const { sampleId = 'sample' } = parts
  const flatness = Array.from(parts.flatness ?? [0.5, 0.5])
  const list = (values: ArrayLike<number> | undefined, otherwise: (f: number) => number): Float32Array =>
    Float32Array.from(values ?? flatness.map(otherwise))
  const tokenLogProb = list(parts.tokenLogProb, (f) => -f)
  return {
    flatness: Float32Array.from(flatness),
    entropy: list(parts.entropy, (f) => f * 8),
    top1: list(parts.top1, (f) => 1 - f),
    margin: list(parts.margin, (f) => 1 - f),
    energy: list(parts.energy, (f) => f - 9),
    tokenLogProb,
    draftOverlap: Float32Array.from(parts.draftOverlap ?? []),
    draftGain: Float32Array.from(parts.draftGain ?? []),
    draftEntropy: Float32Array.from(parts.draftEntropy ?? []),
    vocabSize: parts.vocabSize ?? 64,
    perplexity: parts.perplexity ?? perplexityOf(tokenLogProb),
    lot: parts.lot ?? lotOf(sampleId, 0),
    sampleId,
    domain: parts.domain ?? '',
  }
}

type ListName =
  | 'flatness'
  | 'entropy'
  | 'top1'
  | 'margin'
  | 'energy'
  | 'tokenLogProb'
  | 'draftOverlap'
  | 'draftGain'
  | 'draftEntropy'

/** `n` windows of as many samples, `sizes` positions each in turn, whose flatness moves as `level` says. */
export function trafficOf(
  n: number,
  options: {
    readonly level?: (i: number) => number
    readonly sizes?: readonly number[]
    readonly domains?: readonly string[]
    /** Share of positions at which a draft proposed. */
    readonly drafted?: number
    readonly seed?: number
  } = {},
): WindowStatistics[] {
  const { level = () => 0.3, sizes = [4], domains = [''], drafted = 0, seed = 1 } = options
  const random = seeded(seed)
  return Array.from({ length: n }, (_, i) => {
    const centre = level(i) + (random() - 0.5) * 0.2
    const size = sizes[Math.floor(random() * sizes.length)]!
    const some = (make: () => number): number[] =>
      Array.from({ length: size }, () => (random() < drafted ? make() : Number.NaN))
    const signals = {
      draftOverlap: some(random),
      draftGain: some(() => random() - 0.3),
      draftEntropy: some(() => random() * 4),
    }
    return windowWith({
      flatness: Array.from({ length: size }, () => Math.min(1, Math.max(0.125, centre + (random() - 0.5) * 0.1))),
      ...(drafted > 0 && signals),
      sampleId: `seed${seed}-s${i}`,
      domain: domains[Math.floor(random() * domains.length)]!,
    })
  })
}
