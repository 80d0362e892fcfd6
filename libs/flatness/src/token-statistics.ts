// The other measures of how sure the target is, per token. All are computed from the raw distribution p.

/** Shannon entropy in nats, in [0, log V]. */
export function entropyFromProbabilities(probabilities: ArrayLike<number>): number {
  let entropy = 0
  for (let v = 0; v < probabilities.length; v++) {
    const p = probabilities[v]!
    if (p > 0) entropy -= p * Math.log(p)
  }
  return entropy
}

/** Free energy at temperature 1 (Liu 2020): -log sum exp(logits). Higher means less sure. */
export function energyFromLogSumExp(logSumExp: number): number {
  return -logSumExp
}

/**
 * Most probable minus second most probable, of a row that lists the k most probable tokens. A row of one token says only
 * that the second is at most the tail; the result is then the smallest possible margin.
 */
export function marginOf(probabilities: ArrayLike<number>, start: number, k: number, tailMass: number): number {
  const first = probabilities[start]!
  const second = k > 1 ? probabilities[start + 1]! : Math.min(first, tailMass)
  return first - second
}

/** exp of the mean negative log probability (natural log) of the emitted tokens. */
export function perplexityOf(tokenLogProbs: ArrayLike<number>): number {
  return Math.exp(-meanOf(tokenLogProbs))
}

/** Arithmetic mean in double precision; NaN of nothing. */
export function meanOf(values: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]!
  return sum / values.length
}
