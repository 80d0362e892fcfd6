import type { FeatureHead, FeatureHeadTarget } from '@plateau/causal-lm'
import type { TokenWindow } from '@plateau/contracts'
import { prepareDraftTarget, type DraftRows } from '@plateau/training'
import { windowRows } from './draft-windows.js'
import { FeatureHeadScorer, summarizeScores, type DraftScores, type DraftScoreSummary } from './feature-head-scorer.js'

export interface EvaluationTarget {
  readonly target: FeatureHeadTarget
  readonly fingerprint: string
  readonly tokenizerHash: string
}

/**
 * What a draft is worth on recorded windows: its mean alpha (the certified lower bound of `DraftScores`) and greedy
 * match, position by position from the target's own states. For comparing drafts on the same recording, for example a
 * frozen copy with what was trained since. Throws what `windowRows` throws.
 */
export async function evaluateDraft(
  head: FeatureHead,
  target: EvaluationTarget,
  windows: readonly TokenWindow[],
): Promise<DraftScoreSummary> {
  return summarizeScores((await scored(head, target, windows)).scores)
}

/** The same alphas, of every window at each of its usable positions. */
export async function alphaByWindow(
  head: FeatureHead,
  target: EvaluationTarget,
  windows: readonly TokenWindow[],
): Promise<Float64Array[]> {
  const { rows, scores } = await scored(head, target, windows)
  let done = 0
  return rows.map(({ length }) => scores.alpha.subarray(done, (done += length)))
}

async function scored(
  head: FeatureHead,
  { target, fingerprint, tokenizerHash }: EvaluationTarget,
  windows: readonly TokenWindow[],
): Promise<{ readonly rows: readonly DraftRows[]; readonly scores: DraftScores }> {
  const { vocabSize } = head.config
  const expected = { targetFingerprint: fingerprint, tokenizerHash, vocabSize, norm: target.norm }
  const rows = windows.map((window) => windowRows(window, expected))
  const listedTokens = rows.reduce((most, { listed }) => Math.max(most, listed), 1)
  const prepared = prepareDraftTarget(target, head.config)
  const scorer = await FeatureHeadScorer.create(head.config, prepared, { threads: 1, listedTokens })
  try {
    return { rows, scores: await scorer.score(head, rows) }
  } finally {
    await scorer.release()
  }
}
