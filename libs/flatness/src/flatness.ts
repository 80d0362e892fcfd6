// Flatness of a target distribution p over V tokens (arXiv 2601.18902, eq. 6): the cosine between p and the uniform
// distribution U,
//
//   flatness(p) = p.U / (||p|| ||U||) = 1 / (sqrt(V) ||p||),   ||p|| = sqrt(sum over v of p_v^2)
//
// because p sums to 1. Its range is [1/sqrt(V), 1]: the left end for a distribution that is sure of one token, the right
// end for the uniform one. V * flatness^2 = 1 / sum p^2 is the "effective number of tokens" p chooses among.

/** `sumSquares` is the exact sum of p^2 over the whole vocabulary. The result is clamped to flatness's range. */
export function flatnessFromSumSquares(sumSquares: number, vocabSize: number): number {
  const possible = Math.min(1, Math.max(1 / vocabSize, sumSquares))
  return 1 / Math.sqrt(vocabSize * possible)
}

/** The definition, in double precision, from a whole distribution: what the fast ways are tested against. */
export function flatnessFromProbabilities(probabilities: ArrayLike<number>): number {
  let sum = 0
  let squares = 0
  for (let v = 0; v < probabilities.length; v++) {
    const p = probabilities[v]!
    sum += p
    squares += p * p
  }
  // Dividing by the sum is the cosine's own normalisation: p need not sum to exactly 1.
  return sum / Math.sqrt(probabilities.length * squares)
}
