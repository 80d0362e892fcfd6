export interface Sampled {
  /** What each unit is worth, in any unit above 0; one that is worth nothing, or NaN, is never drawn. */
  readonly values: readonly number[]
  /** In [0, 1), unrelated to the values. */
  readonly lots: readonly number[]
  /** Positions of each unit. */
  readonly sizes: ArrayLike<number>
}

/**
 * Poisson sampling: unit i is kept with probability pi_i = min(1, c v_i), c such that the expected number of kept
 * positions is `budget`, and counts 1 / pi_i, so that sums over what was kept are unbiased for sums over all with v_i > 0.
 * Returns what each unit counts, 0 for one that is not kept; the weights of kept positions have mean 1.
 */
export function inclusionWeights({ values, lots, sizes }: Sampled, budget: number): Float32Array {
  const worth = values.map((value) => (value > 0 ? value : 0))
  const c = scaleFor(worth, sizes, budget)
  const weights = Float32Array.from(worth, (value, i) => (lots[i]! < c * value ? 1 / Math.min(1, c * value) : 0))
  let [sum, count] = [0, 0]
  for (const [i, weight] of weights.entries()) {
    sum += weight * sizes[i]!
    count += weight > 0 ? sizes[i]! : 0
  }
  return count === 0 ? weights : weights.map((weight) => (weight * count) / sum)
}

const HALVINGS = 60

/** c with sum of min(1, c v_i) size_i = budget: it grows with c. */
function scaleFor(worth: readonly number[], sizes: ArrayLike<number>, budget: number): number {
  const expected = (c: number): number => worth.reduce((sum, v, i) => sum + Math.min(1, c * v) * sizes[i]!, 0)
  const least = worth.reduce((min, v) => (v > 0 ? Math.min(min, v) : min), Infinity)
  let [low, high] = [0, 1 / least]
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2
    if (expected(middle) < budget) low = middle
    else high = middle
  }
  return high
}
