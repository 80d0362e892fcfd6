import {
  buildTrainGraph,
  causalDraftKind,
  causalDraftShape,
  initialCausalDraft,
  withLogitScale,
  type CausalDraft,
} from '@plateau/causal-lm'
import { CausalLmDraft, CausalLmDraftScorer, loadSession } from '@plateau/inference'
import { decodeCausalDraft, encodeCausalDraft, type DraftTargetModel } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import { CausalDraftTraining } from '@plateau/training'
import type { DraftPlan, GradientOptions, GradientRun } from './draft-plan.js'
import { optimizerState, optimizerTensors } from './optimizer-tensors.js'

export interface CausalLmPlanOptions {
  readonly hiddenSize: number
  readonly layers: number
  readonly threads: number
  readonly seed: number
}

const SHAPE = { sequences: 8, positions: 64, targetsPerRow: 64 }
const LISTED_TOKENS = 64

/** A small Llama-style decoder that reads tokens only: gradients from nothing. */
export function causalLmPlan(model: DraftTargetModel, options: CausalLmPlanOptions): DraftPlan<CausalDraft> {
  const { threads } = options
  let scorer: Promise<CausalLmDraftScorer> | undefined
  return {
    kind: causalDraftKind,
    expected: {
      targetFingerprint: model.fingerprint,
      tokenizerHash: model.tokenizerHash,
      vocabSize: model.config.vocabSize,
      norm: undefined,
    },
    startStage: 'untrained',
    start: async (_data, vocabulary) =>
      initialCausalDraft(causalDraftShape(model.config, vocabulary, options), seededRandom(options.seed)),
    openGradients,
    async score(draft, windows, logitScale) {
      scorer ??= CausalLmDraftScorer.create(draft.config, { threads, listedTokens: LISTED_TOKENS })
      return (await scorer).score(draft, windows, logitScale)
    },
    withLogitScale,
    load: (draft) => CausalLmDraft.load(draft, { version: 'trained offline', threads }),
    encode: (draft) => encodeCausalDraft(draft, 'F16'),
    companions: async () => [],
    decode: decodeCausalDraft,
    release: async () => (await scorer)?.release(),
  }
}

async function openGradients(start: CausalDraft, options: GradientOptions): Promise<GradientRun<CausalDraft>> {
  const { model } = start.config
  const shape = { ...SHAPE, targetsPerRow: Math.min(SHAPE.targetsPerRow, model.vocabSize - 1) }
  const session = await loadSession(buildTrainGraph(model, shape, { loss: options.loss }).model, {
    threads: options.threads,
    name: 'draft training step',
  })
  const { learningRate, decay } = options
  const training = new CausalDraftTraining(start, session, shape, { learningRate, decay })
  return {
    shape,
    get model() {
      return training.draft
    },
    get steps() {
      return training.steps
    },
    step: (pieces) => training.step(pieces),
    state: () => optimizerTensors('all', training.state),
    load: (state) => training.load(optimizerState('all', state)),
    release: () => session.release(),
  }
}
