/** The target's tokens that a draft can propose, as a list of ids: what drafts of every kind say of it. */

/**
 * The n tokens of the largest mass, ascending. `mass` [targetVocabSize]: for example the probabilities of a live stream
 * summed by token. Ties: lowest id first.
 */
export function mostFrequentTokens(mass: ArrayLike<number>, n: number): Int32Array {
  const order = Array.from(mass, (_, id) => id).sort((a, b) => mass[b]! - mass[a]! || a - b)
  return Int32Array.from(order.slice(0, n)).sort()
}

/** Throws RangeError for ids that do not ascend or that the target does not have. */
export function checkTokenIds(ids: Int32Array, targetVocabSize: number): void {
  for (let i = 0; i < ids.length; i++) {
    const [token, before] = [ids[i]!, ids[i - 1] ?? -1]
    if (token > before && token < targetVocabSize) continue
    throw new RangeError(`the draft's vocabulary has id ${token} after ${before}, of a target of ${targetVocabSize}`)
  }
}
