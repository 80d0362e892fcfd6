import { summarizeScores, type DraftRows, type DraftScores } from '@plateau/inference'
import { fitLogitScale } from '@plateau/training'
import { positionsOf } from '../recent-windows.js'

/** Scores count this many of a position's listed tokens. */
export const SCORED_TOKENS = 64
const MIN_POSITIONS = 64

/** The logit scale at which a draft does best on windows it was not trained on; undefined when they are too few. */
export async function calibratedScale(
  windows: readonly DraftRows[],
  scoresAt: (scale: number) => Promise<DraftScores>,
): Promise<number | undefined> {
  if (positionsOf(windows) < MIN_POSITIONS) return undefined
  return fitLogitScale(async (scale) => summarizeScores(await scoresAt(scale)).alpha)
}
