import type { DraftRows } from './draft-rows.js'

/**
 * Adds to `counts` [V] what the target gave to each token on these rows: the choice of a draft's vocabulary should follow
 * what can be accepted, not only what was drawn.
 */
export function countTokens(counts: Float64Array, rows: DraftRows): void {
  for (let at = 0; at < rows.length * rows.listed; at++) counts[rows.listedIds[at]!]! += rows.listedProbs[at]!
}

/** The share of the counts that a draft vocabulary covers. */
export function coverage(counts: Float64Array, ids: Int32Array): number {
  const total = counts.reduce((sum, count) => sum + count, 0)
  return total === 0 ? 0 : ids.reduce((sum, id) => sum + counts[id]!, 0) / total
}
