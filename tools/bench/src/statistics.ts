/** The middle value; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** The smallest value that at least this share of them, in (0, 1], does not exceed; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  return weightedQuantile(
    values.map((value) => ({ value, weight: 1 })),
    share,
  )
}

export interface Weighted {
  readonly value: number
  /** Above 0. */
  readonly weight: number
}

/** The smallest value that at least this share of the weight does not exceed; NaN of nothing. */
export function weightedQuantile(values: readonly Weighted[], share: number): number {
  const sorted = values.toSorted((a, b) => a.value - b.value)
  const wanted = share * sorted.reduce((sum, { weight }) => sum + weight, 0)
  let passed = 0
  for (const { value, weight } of sorted) {
    passed += weight
    // What rounding takes from a sum of many must not ask for a value beyond.
    if (passed >= wanted * (1 - 1e-12)) return value
  }
  return Number.NaN
}

/** NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
