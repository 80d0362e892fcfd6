import { buildTrainGraph, causalDraftShape, initialCausalDraft, type CausalDraft } from '@plateau/causal-lm'
import { CausalLmDraftScorer, loadSession, type InferenceSession } from '@plateau/inference'
import type { DraftTargetModel } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import { CausalDraftTraining } from '@plateau/training'
import type { StepOptions, SteppedDraft } from './draft-kind.js'

const SHAPE = { sequences: 8, positions: 64 }
const LISTED_TOKENS = { training: 32, scoring: 64 }

export interface CausalLmSizes {
  readonly hiddenSize: number
  readonly layers: number
}

/** A small Llama over all of the target's vocabulary, which reads tokens only and begins with nothing. */
export function causalLmSteps(
  target: Pick<DraftTargetModel, 'config'>,
  sizes: CausalLmSizes,
  threads: number,
): SteppedDraft<CausalDraft> {
  const config = causalDraftShape(target.config, undefined, sizes)
  const { model } = config
  const shape = { ...SHAPE, targetsPerRow: Math.min(LISTED_TOKENS.training, model.vocabSize - 1) }
  const sessions = new Map<string, Promise<InferenceSession>>()
  let scorer: Promise<CausalLmDraftScorer> | undefined
  const sessionOf = ({ loss }: StepOptions): Promise<InferenceSession> => {
    const load = () =>
      loadSession(buildTrainGraph(model, shape, { loss }).model, { threads, name: 'draft training step' })
    const session = sessions.get(loss) ?? load()
    sessions.set(loss, session)
    return session
  }
  return {
    shape: SHAPE,
    start: (seed) => initialCausalDraft(config, seededRandom(seed)),
    async open(start, options) {
      const { learningRate, warmUpSteps, decay } = options
      const training = new CausalDraftTraining(start, await sessionOf(options), shape, {
        learningRate,
        warmUpSteps,
        decay,
      })
      return {
        get model() {
          return training.draft
        },
        step: (pieces) => training.step(pieces),
      }
    },
    async score(draft, windows, scale) {
      scorer ??= CausalLmDraftScorer.create(config, { threads, listedTokens: LISTED_TOKENS.scoring })
      return (await scorer).score(draft, windows, scale)
    },
    async release() {
      for (const session of sessions.values()) await (await session).release()
      await (await scorer)?.release()
    },
  }
}
