/** What plateau.stream.v1.Drift says, but for who says it and when. */
export interface DriftFinding {
  readonly kind: DriftKind
  /** One sentence for a person. */
  readonly reason: string
  readonly value: number
  readonly reference: number
  readonly threshold: number
  /** Positions, or proposals, that `value` is over. */
  readonly count: number
}

export type DriftKind =
  | 'flatness-shifted'
  | 'flatness-settled'
  | 'acceptance-fell'
  | 'acceptance-recovered'
  | 'acceptance-very-low'
  | 'acceptance-very-high'

/** A response of which so little is accepted, over so many proposals, met a draft that knows nothing of it. */
export const VERY_LOW = { acceptance: 0.02, judged: 64 } as const
/** All but everything accepted over so many proposals is what text that repeats itself looks like. */
export const VERY_HIGH = { acceptance: 0.98, judged: 128 } as const
/** One or two long proposals, a copy from the prompt say, are no sign of either. */
export const UNUSUAL_ROUNDS = 8

/** `proposedRounds`: rounds of the response in which anything was proposed. */
export function unusualResponse(
  accepted: number,
  judged: number,
  proposedRounds: number,
): 'very-low' | 'very-high' | undefined {
  if (proposedRounds < UNUSUAL_ROUNDS) return undefined
  if (judged >= VERY_LOW.judged && accepted <= VERY_LOW.acceptance * judged) return 'very-low'
  if (judged >= VERY_HIGH.judged && accepted >= VERY_HIGH.acceptance * judged) return 'very-high'
  return undefined
}
