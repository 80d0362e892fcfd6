import { mostFrequentTokens } from '@plateau/causal-lm'
import { countTokens } from '@plateau/training'
import type { SelectionWindow } from './selection-window.js'
import type { SelectionTarget } from './selection-targets.js'

/** Common to all arms, so that none gains by proposing from other tokens: by what the target gave them in training. */
export function chosenVocabulary(
  { model, draftVocabulary }: SelectionTarget,
  training: readonly SelectionWindow[],
): Int32Array | undefined {
  const { vocabSize } = model.config
  if (draftVocabulary === 0 || draftVocabulary >= vocabSize) return undefined
  const counts = new Float64Array(vocabSize)
  for (const { rows } of training) countTokens(counts, rows)
  return mostFrequentTokens(counts, draftVocabulary)
}
