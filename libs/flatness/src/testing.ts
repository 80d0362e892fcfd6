// Distributions for tests: from softmaxed noise of any temperature, and the corners.

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
