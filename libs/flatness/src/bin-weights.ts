import type { WindowStatistics } from './strategies/strategy.js'

// Bins of positions by how flat p is and by how far the draft is from it. Flatness f is told apart by N = V f^2, the
// effective number of tokens that p chooses among, in [1, V]; the gap is 1 - alpha, alpha = sum min(p, q).
//
//   bin = row * columns + column     row: edges of N at or below N
//                                    column: 0 where no draft proposed, else 1 + edges of the gap at or below the gap
//
// Without edges of the gap there is the one column 0.

/** Weights of positions in the closed form, by bin. */
export interface BinWeights {
  /** F - 1 rising numbers above 1: bin f holds N in [edge f - 1, edge f). */
  readonly effectiveTokens: readonly number[]
  /** G - 1 rising numbers in (0, 1), or none (G is then 0): edges of 1 - alpha. */
  readonly draftGap: readonly number[]
  /** F x (1 + G) finite numbers >= 0, row by row, about 1 on average over the traffic they were learned on. */
  readonly weights: readonly number[]
}

export type BinEdges = Pick<BinWeights, 'effectiveTokens' | 'draftGap'>

/**
 * The edges that Plateau learns weights by. N: (nearly) certain, one real alternative at most, few, some, many tokens. Gap:
 * the draft is right, partly right, wrong.
 */
export const standardEdges: BinEdges = { effectiveTokens: [1.05, 1.5, 3, 10], draftGap: [0.2, 0.6] }

/** F x (1 + G). */
export function binCount(bins: BinEdges): number {
  return (bins.effectiveTokens.length + 1) * columnsOf(bins)
}

/** Per bin its row and, where there are several, its column, as a search of weights takes them; NaN where no draft proposed. */
export function binPlaces(bins: BinEdges): number[][] {
  const columns = columnsOf(bins)
  return Array.from({ length: binCount(bins) }, (_, bin) => {
    const column = bin % columns
    return [Math.floor(bin / columns), ...(columns === 1 ? [] : [column === 0 ? Number.NaN : column])]
  })
}

/** [n], the bin of each position: an index into the weights. */
export function binsOf(
  bins: BinEdges,
  window: Pick<WindowStatistics, 'flatness' | 'draftOverlap' | 'vocabSize'>,
): Int32Array {
  const { flatness, draftOverlap, vocabSize } = window
  const columns = columnsOf(bins)
  return Int32Array.from(flatness, (f, i) => {
    const row = edgesAtOrBelow(bins.effectiveTokens, vocabSize * f * f)
    return row * columns + columnOf(bins.draftGap, 1 - (draftOverlap[i] ?? Number.NaN))
  })
}

/** Throws RangeError, naming the field, unless the numbers make bins with a weight each. */
export function binWeights(parts: BinWeights): BinWeights {
  const { effectiveTokens, draftGap, weights } = parts
  checkEdges('binWeights.effectiveTokens', effectiveTokens, 1, Number.MAX_VALUE)
  checkEdges('binWeights.draftGap', draftGap, 0, 1)
  const bins = binCount(parts)
  if (weights.length !== bins) throw new RangeError(`binWeights.weights has ${weights.length} numbers for ${bins} bins`)
  const bad = weights.findIndex((weight) => !(weight >= 0 && weight < Number.POSITIVE_INFINITY))
  if (bad >= 0) throw new RangeError(`binWeights.weights[${bad}] is ${weights[bad]}, not a number of 0 or more`)
  if (weights.every((weight) => weight === 0)) throw new RangeError('binWeights.weights are all 0: nothing would count')
  return { effectiveTokens, draftGap, weights }
}

function columnsOf({ draftGap }: BinEdges): number {
  return draftGap.length === 0 ? 1 : draftGap.length + 2
}

function columnOf(draftGap: readonly number[], gap: number): number {
  return draftGap.length === 0 || Number.isNaN(gap) ? 0 : 1 + edgesAtOrBelow(draftGap, gap)
}

function edgesAtOrBelow(edges: readonly number[], x: number): number {
  let below = 0
  while (below < edges.length && edges[below]! <= x) below++
  return below
}

/** Rising, and strictly between the bounds. */
function checkEdges(field: string, edges: readonly number[], above: number, below: number): void {
  for (const [i, edge] of edges.entries()) {
    const least = i === 0 ? above : edges[i - 1]!
    if (!(edge > least && edge < below)) {
      throw new RangeError(`${field}[${i}] is ${edge}, not above ${least} and below ${below}`)
    }
  }
}
