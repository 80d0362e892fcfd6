import { standardEdges, type BinEdges } from '@plateau/flatness'

export const weightBinChoices = ['flatness', 'flatness+draft-gap', 'off'] as const
export type WeightBinChoice = (typeof weightBinChoices)[number]

/** Undefined: weights are not learned. */
export function weightBins(choice: WeightBinChoice): BinEdges | undefined {
  switch (choice) {
    case 'flatness':
      return { ...standardEdges, draftGap: [] }
    case 'flatness+draft-gap':
      return standardEdges
    case 'off':
      return undefined
  }
}
