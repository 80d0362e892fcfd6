/** What a trained draft of an arm is worth: calibrated on windows of their own, judged on held-out ones. */
import { binCount, binsOf } from '@plateau/flatness'
import { summarizeScores, type DraftRows, type DraftScores } from '@plateau/inference'
import { fitLogitScale } from '@plateau/training'
import { flatnessEdges, type ArmResult } from './arm-result.js'
import { positionsOf, type SelectionWindow } from './selection-window.js'

/** The arm's draft at a logit scale: one entry per row, window after window. */
export type ScoreDraft = (windows: readonly DraftRows[], logitScale: number) => Promise<DraftScores>

export type Evaluation = Pick<
  ArmResult,
  'logitScale' | 'alpha' | 'greedyMatch' | 'domains' | 'lengths' | 'windowAlpha' | 'alphaByFlatness'
>

/** Of a dataset: what logit scales are fitted on, and what is judged on. */
export interface JudgingWindows {
  readonly calibration: readonly SelectionWindow[]
  readonly heldOut: readonly SelectionWindow[]
}

/** Most tokens proposed at once that expected lengths are given for. */
const MOST_PROPOSED = 5
/** Optima of all drafts so far lie well within; the last interval is 6 % of a scale, some .00005 of alpha. */
const SCALES = { low: 0.6, high: 1.7, evaluations: 7 }

/** So many positions, evenly spread, tell one number to some .00003 of alpha. */
const SCALE_POSITIONS = 1000

/** Fits the arm's own logit scale, always, and judges it at that scale. */
export async function evaluateArm(score: ScoreDraft, { calibration, heldOut }: JudgingWindows): Promise<Evaluation> {
  const logitScale = await calibrate(score, calibration)
  const scores = await score(rowsOf(heldOut), logitScale)
  return { logitScale, ...figuresOf(scores, heldOut) }
}

/** The logit scale at which mean alpha on these windows, or some of them if they are many, is largest. */
export function calibrate(score: ScoreDraft, windows: readonly SelectionWindow[]): Promise<number> {
  const every = Math.max(1, Math.floor(positionsOf(windows) / SCALE_POSITIONS))
  const some = windows.filter((_, i) => i % every === 0)
  return fitLogitScale((scale) => meanAlpha(score, some, scale), SCALES)
}

/** Mean over all positions. */
export async function meanAlpha(
  score: ScoreDraft,
  windows: readonly SelectionWindow[],
  logitScale: number,
): Promise<number> {
  return summarizeScores(await score(rowsOf(windows), logitScale)).alpha
}

/** `scores`: of all rows of `windows`, in order. */
export function figuresOf(scores: DraftScores, windows: readonly SelectionWindow[]): Omit<Evaluation, 'logitScale'> {
  const parts = splitScores(scores, windows)
  const { alpha, greedyMatch } = summarizeScores(scores)
  return {
    alpha,
    greedyMatch,
    domains: byDomain(parts),
    lengths: {
      t0: expectedLengths(parts.map((part) => part.greedyMatch)),
      t1: expectedLengths(parts.map((part) => part.alpha)),
    },
    windowAlpha: parts.map((part) => meanOf(part.alpha)),
    alphaByFlatness: alphaByFlatness(parts),
  }
}

type Part = DraftScores & { readonly window: SelectionWindow }

function splitScores({ alpha, greedyMatch }: DraftScores, windows: readonly SelectionWindow[]): Part[] {
  if (alpha.length !== positionsOf(windows)) {
    throw new RangeError(`${alpha.length} scores for ${positionsOf(windows)} positions`)
  }
  let from = 0
  return windows.map((window) => {
    const to = from + window.rows.length
    const part = { window, alpha: alpha.subarray(from, to), greedyMatch: greedyMatch.subarray(from, to) }
    from = to
    return part
  })
}

function byDomain(parts: readonly Part[]): Evaluation['domains'] {
  const domains = [...new Set(parts.map(({ window }) => window.domain))].toSorted()
  return Object.fromEntries(
    domains.map((domain) => {
      const own = parts.filter(({ window }) => window.domain === domain)
      const mean = (key: 'alpha' | 'greedyMatch') => meanOf(own.flatMap((part) => [...part[key]]))
      return [domain, { alpha: mean('alpha'), greedyMatch: mean('greedyMatch') }]
    }),
  )
}

/**
 * For g = 1 to 5: the mean, over positions with g - 1 more after them in their response, of 1 + a1 + a1 a2 + ... +
 * a1 ... ag, the expected tokens of a round (bonus counted) where the text goes as it went.
 */
function expectedLengths(accepted: readonly ArrayLike<number>[]): number[] {
  return Array.from({ length: MOST_PROPOSED }, (_, g) => {
    let [sum, count] = [0, 0]
    for (const window of accepted) {
      for (let at = 0; at + g < window.length; at++, count++) sum += roundLength(window, at, g + 1)
    }
    return sum / count
  })
}

function roundLength(accepted: ArrayLike<number>, at: number, proposed: number): number {
  let [length, reached] = [1, 1]
  for (let i = 0; i < proposed; i++) {
    reached *= accepted[at + i]!
    length += reached
  }
  return length
}

/** Per bin of the effective number of tokens V f^2; null where it is empty. */
function alphaByFlatness(parts: readonly Part[]): (number | null)[] {
  const byFlatness = { effectiveTokens: flatnessEdges, draftGap: [] }
  const bins = Array.from({ length: binCount(byFlatness) }, () => ({ sum: 0, count: 0 }))
  for (const { window, alpha } of parts) {
    for (const [at, place] of binsOf(byFlatness, window.statistics).entries()) {
      const bin = bins[place]!
      bin.sum += alpha[at]!
      bin.count++
    }
  }
  return bins.map(({ sum, count }) => (count === 0 ? null : sum / count))
}

function rowsOf(windows: readonly SelectionWindow[]): DraftRows[] {
  return windows.map(({ rows }) => rows)
}

function meanOf(values: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]!
  return sum / values.length
}
