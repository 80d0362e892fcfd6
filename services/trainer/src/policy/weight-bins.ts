import type { BinWeights } from '@plateau/contracts'

export const weightBinChoices = ['flatness', 'flatness+draft-gap', 'off'] as const
export type WeightBinChoice = (typeof weightBinChoices)[number]

export type WeightBins = Omit<BinWeights, 'weights'>

/** N = V flatness^2: (nearly) certain, one real alternative at most, few, some, many tokens. */
const EFFECTIVE_TOKENS = [1.05, 1.5, 3, 10]
/** Of 1 - alpha: the draft is right, half right, wrong. */
const DRAFT_GAP = [0.2, 0.6]

/** Undefined: weights are not learned. */
export function weightBins(choice: WeightBinChoice): WeightBins | undefined {
  switch (choice) {
    case 'flatness':
      return { effectiveTokens: EFFECTIVE_TOKENS, draftGap: [] }
    case 'flatness+draft-gap':
      return { effectiveTokens: EFFECTIVE_TOKENS, draftGap: DRAFT_GAP }
    case 'off':
      return undefined
  }
}
