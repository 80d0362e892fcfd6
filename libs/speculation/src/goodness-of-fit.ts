/** Upper quantile of the standard normal distribution at .001. */
const Z_ONE_IN_A_THOUSAND = 3.0902

export interface GoodnessOfFit {
  /** Pearson's chi-square of the counts against the expected probabilities. */
  readonly statistic: number
  /** What the statistic exceeds once in a thousand times when the counts do come from these probabilities. */
  readonly critical: number
}

/**
 * Pearson's chi-square test, level .001 (Wilson and Hilferty's approximation of the quantile). Cells expected fewer than
 * 5 times are pooled. A count where the probability is 0 makes the statistic infinite.
 */
export function goodnessOfFit(counts: ArrayLike<number>, probs: ArrayLike<number>): GoodnessOfFit {
  let draws = 0
  for (let i = 0; i < counts.length; i++) draws += counts[i]!
  let statistic = 0
  let cells = 0
  let pooled = { count: 0, expected: 0 }
  const add = (count: number, expected: number): void => {
    statistic += (count - expected) ** 2 / expected
    cells++
  }
  for (let i = 0; i < probs.length; i++) {
    const expected = draws * probs[i]!
    if (expected === 0) {
      if (counts[i]! > 0) statistic = Number.POSITIVE_INFINITY
    } else if (expected < 5) pooled = { count: pooled.count + counts[i]!, expected: pooled.expected + expected }
    else add(counts[i]!, expected)
  }
  if (pooled.expected > 0) add(pooled.count, pooled.expected)
  const freedom = Math.max(1, cells - 1)
  const scale = 2 / (9 * freedom)
  return { statistic, critical: freedom * (1 - scale + Z_ONE_IN_A_THOUSAND * Math.sqrt(scale)) ** 3 }
}
