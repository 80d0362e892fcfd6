import type { Strategy } from './strategy.js'

/** Windows of high median flatness (the paper's Table 11): a few very flat positions do not carry a window. */
export const medianFlatness: Strategy = {
  name: 'median-flatness',
  filters: true,
  score: (window) => medianOf(window.flatness),
  positions: (window) => window.flatness,
}

function medianOf(values: Float32Array): number {
  const sorted = values.toSorted()
  const middle = sorted.length >>> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
