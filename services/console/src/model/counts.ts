/** Counters of acceptance that add up over servers, tenants and time; the sums of plateau.stream.v1.Acceptance. */
export interface Counts {
  drafts: number
  draftTokens: number
  acceptedTokens: number
  emittedTokens: number
  alphaSum: number
  alphaPositions: number
  finished: number
  failed: number
}

export function emptyCounts(): Counts {
  return {
    drafts: 0,
    draftTokens: 0,
    acceptedTokens: 0,
    emittedTokens: 0,
    alphaSum: 0,
    alphaPositions: 0,
    finished: 0,
    failed: 0,
  }
}

export function addCounts(into: Counts, added: Counts): void {
  for (const name of Object.keys(into) as (keyof Counts)[]) into[name] += added[name]
}

export function sumCounts(all: Iterable<Counts>): Counts {
  const sum = emptyCounts()
  for (const counts of all) addCounts(sum, counts)
  return sum
}

/** What is made of the counts; undefined where nothing was counted. Conventions are vLLM's, as in the Acceptance record. */
export const measures = {
  /** Accepted / proposed tokens. */
  rate: ({ acceptedTokens, draftTokens }: Counts) => ratio(acceptedTokens, draftTokens),
  /** 1 + accepted / rounds: the bonus or recovered token is counted. */
  length: ({ acceptedTokens, drafts }: Counts) => (drafts > 0 ? 1 + acceptedTokens / drafts : undefined),
  /** Mean over judged positions of sum min(p, q). */
  alpha: ({ alphaSum, alphaPositions }: Counts) => ratio(alphaSum, alphaPositions),
} as const

export type Measure = keyof typeof measures

function ratio(part: number, whole: number): number | undefined {
  return whole > 0 ? part / whole : undefined
}
