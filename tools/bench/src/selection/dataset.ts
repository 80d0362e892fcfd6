/**
 * What every experiment of `bench selection` trains and judges on: responses of one target, recorded once with the real
 * target-model and scorer, then read from disk. A window is a whole response (the paper's sample).
 */
import type { FeatureHead } from '@plateau/causal-lm'
import type { WindowStatistics } from '@plateau/flatness'
import type { DraftRows } from '@plateau/inference'
import type { DraftTargetModel } from '@plateau/model-files'
import { chosenVocabulary } from './draft-vocabulary.js'
import { openRecording } from './recorded-windows.js'
import { withReferenceDraft } from './reference-draft.js'
import { resolveSelectionTarget } from './selection-targets.js'

export const datasetNames = ['demo', 'smollm2'] as const
export type DatasetName = (typeof datasetNames)[number]

/** One response. Row r, position r of every statistic: the same prediction. */
export interface SelectionWindow {
  readonly rows: DraftRows
  /** As the scorer publishes them; what concerns a draft, from the reference draft at its calibrated logit scale. */
  readonly statistics: WindowStatistics
  readonly domain: string
  readonly sampleId: string
}

export interface Dataset {
  readonly name: DatasetName
  /** Hugging Face directory of the target, or its GGUF file. */
  readonly path: string
  readonly target: DraftTargetModel
  /** What drafts may propose, the same in all arms: the most frequent tokens of the training windows. Undefined: all. */
  readonly vocabulary: Int32Array | undefined
  /** In the order in which they were recorded, domains mixed. */
  readonly training: readonly SelectionWindow[]
  /** For single numbers that are fitted by trying: logit scales, learned weights. Answers to prompts of their own. */
  readonly calibration: readonly SelectionWindow[]
  /** Only judged on. Answers to prompts that nothing else was made from. */
  readonly heldOut: readonly SelectionWindow[]
  /** The closed form of the earliest windows, which are in none of the lists above: draft-aware statistics are its. */
  readonly reference: FeatureHead
  readonly referencePositions: number
  /** SHA-256 (hex) over the target and all windows' tokens: results of another dataset are not compared. */
  readonly fingerprint: string
}

export interface DatasetOptions {
  readonly threads: number
  say(line: string): void
}

/** Of the recorded training windows, the earliest that the reference draft is made of. */
const REFERENCE_SHARE = 0.15

/** Records where the cache does not hold the windows yet: some minutes of both cores for a real model. */
export async function openDataset(name: DatasetName, options: DatasetOptions): Promise<Dataset> {
  const target = await resolveSelectionTarget(name)
  const recorded = await openRecording(target, options)
  const early = Math.round(REFERENCE_SHARE * positionsOf(recorded.training))
  const [past, training] = splitAfter(recorded.training, early)
  const vocabulary = chosenVocabulary(target, [...past, ...training])
  const withDraft = await withReferenceDraft(
    { target: target.model, vocabulary, past, calibration: recorded.calibration, training, heldOut: recorded.heldOut },
    options,
  )
  return {
    name,
    path: target.path,
    target: target.model,
    vocabulary,
    ...withDraft,
    referencePositions: positionsOf(past),
    fingerprint: recorded.fingerprint,
  }
}

export function positionsOf(windows: readonly { readonly rows: { readonly length: number } }[]): number {
  return windows.reduce((sum, { rows }) => sum + rows.length, 0)
}

/** The first windows that together have at least so many positions. */
export function firstPositions<Window extends { readonly rows: DraftRows }>(
  windows: readonly Window[],
  positions: number,
): readonly Window[] {
  return splitAfter(windows, positions)[0]
}

function splitAfter<Window extends { readonly rows: DraftRows }>(
  windows: readonly Window[],
  positions: number,
): [readonly Window[], readonly Window[]] {
  let at = 0
  for (let sum = 0; at < windows.length && sum < positions; at++) sum += windows[at]!.rows.length
  return [windows.slice(0, at), windows.slice(at)]
}
