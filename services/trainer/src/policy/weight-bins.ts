import { binCount, type BinEdges } from '@plateau/flatness'

export const weightBinChoices = ['flatness', 'flatness+draft-gap', 'off'] as const
export type WeightBinChoice = (typeof weightBinChoices)[number]

/** N = V flatness^2: (nearly) certain, one real alternative at most, few, some, many tokens. */
const EFFECTIVE_TOKENS = [1.05, 1.5, 3, 10]
/** Of 1 - alpha: the draft is right, partly right, wrong. */
const DRAFT_GAP = [0.2, 0.6]

/** Undefined: weights are not learned. */
export function weightBins(choice: WeightBinChoice): BinEdges | undefined {
  switch (choice) {
    case 'flatness':
      return { effectiveTokens: EFFECTIVE_TOKENS, draftGap: [] }
    case 'flatness+draft-gap':
      return { effectiveTokens: EFFECTIVE_TOKENS, draftGap: DRAFT_GAP }
    case 'off':
      return undefined
  }
}

/** Per bin its row and column (see binsOf), as a search of weights takes them: no draft proposed in column 0. */
export function binPlaces(bins: BinEdges): number[][] {
  const rows = bins.effectiveTokens.length + 1
  const columns = binCount(bins) / rows
  return Array.from({ length: rows * columns }, (_, bin) => {
    const column = bin % columns
    return [Math.floor(bin / columns), ...(columns === 1 ? [] : [column === 0 ? Number.NaN : column])]
  })
}
