import type { OptimizerState } from '@plateau/training'
import type { LearnerState } from '../draft-kind.js'
import type { GradientTurnsState } from '../gradient-turns.js'
import type { LiveVocabularyState } from '../live-vocabulary.js'
import { idsOf, idsTensor, optimizerState, optimizerTensors } from '../state-tensors.js'

/** What the causal draft's learner puts into a snapshot. */
export interface CausalLmState {
  readonly turns: GradientTurnsState
  /** Of the draft that is trained: it may be newer than the last version's. Undefined: all tokens. */
  readonly draftVocabulary: Int32Array | undefined
  readonly counts: LiveVocabularyState
  readonly training: OptimizerState
}

interface Facts {
  readonly turns: GradientTurnsState['facts']
  readonly counts: LiveVocabularyState['facts']
  readonly steps: number
}

const VOCABULARY = 'draft_vocabulary'
const PART = 'draft'

export function encodeCausalLmState({
  turns,
  draftVocabulary: ids,
  counts,
  training,
}: CausalLmState): Pick<LearnerState, 'facts' | 'tensors'> {
  const tensors = new Map([...counts.tensors, ...turns.tensors, ...optimizerTensors(PART, training)])
  if (ids !== undefined) tensors.set(VOCABULARY, idsTensor(ids))
  const facts: Facts = { turns: turns.facts, counts: counts.facts, steps: training.steps }
  return { facts, tensors }
}

/** Throws an Error of any kind when it is not what `encodeCausalLmState` gives. */
export function decodeCausalLmState({ facts, tensors }: LearnerState): CausalLmState {
  const { turns, counts, steps } = facts as Facts
  return {
    turns: { facts: turns, tensors },
    draftVocabulary: idsOf(tensors.get(VOCABULARY)),
    counts: { facts: counts, tensors },
    training: optimizerState(PART, steps, tensors),
  }
}
