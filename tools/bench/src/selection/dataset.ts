/**
 * What every experiment of `bench selection` trains and judges on: responses of one target, recorded once with the real
 * target-model and scorer, then read from disk. A window is a whole response (the paper's sample).
 */
import type { FeatureHead } from '@plateau/causal-lm'
import type { DraftTargetModel } from '@plateau/model-files'
import { chosenVocabulary } from './draft-vocabulary.js'
import { openRecording } from './recorded-windows.js'
import { withReferenceDraft } from './reference-draft.js'
import { resolveSelectionTarget, type DatasetName } from './selection-targets.js'
import { positionsOf, splitAfter, type SelectionWindow } from './selection-window.js'

export { datasetNames, type DatasetName } from './selection-targets.js'
export { firstPositions, positionsOf, type SelectionWindow } from './selection-window.js'

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
  readonly say: (line: string) => void
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
