import {
  buildFeatureHeadTrainGraph,
  draftVocabSize,
  gradientLayer,
  withLayer,
  type FeatureHead,
} from '@plateau/causal-lm'
import { FeatureHeadScorer, loadSession, type DraftTarget, type InferenceSession } from '@plateau/inference'
import { seededRandom } from '@plateau/speculation'
import { FeatureHeadTraining } from '@plateau/training'
import type { StepOptions, SteppedDraft } from './draft-kind.js'

const SHAPE = { sequences: 8, positions: 64 }
const LISTED_TOKENS = { training: 32, scoring: 64 }

/**
 * The head as the trainer's gradient stage has it: a closed form with a decoder layer added, which begins as the identity.
 * `solution`: the closed form. All steps of one loss and number of selected rows share a graph.
 */
export function featureHeadSteps(
  solution: FeatureHead,
  target: DraftTarget,
  threads: number,
): SteppedDraft<FeatureHead> {
  const layer = gradientLayer(solution.config.hiddenSize)
  const config = { ...solution.config, layer }
  const sessions = new Map<string, Promise<InferenceSession>>()
  let scorer: Promise<FeatureHeadScorer> | undefined
  const listedTokens = Math.min(LISTED_TOKENS.training, draftVocabSize(config) - 1)
  const shapeOf = ({ selectedRows }: StepOptions) => ({
    ...SHAPE,
    listedTokens,
    ...(selectedRows !== undefined && { selectedRows }),
  })
  const sessionOf = (options: StepOptions): Promise<InferenceSession> => {
    const key = `${options.loss} ${options.selectedRows}`
    const load = () =>
      loadSession(buildFeatureHeadTrainGraph(config, shapeOf(options), options.loss), {
        threads,
        name: 'draft training step',
      })
    const session = sessions.get(key) ?? load()
    sessions.set(key, session)
    return session
  }
  return {
    shape: SHAPE,
    start: (seed) => withLayer(solution, layer, seededRandom(seed)),
    async open(start, options) {
      const { learningRate, warmUpSteps, decay } = options
      const training = new FeatureHeadTraining(start, target, await sessionOf(options), shapeOf(options), {
        learningRate,
        warmUpSteps,
        decay,
      })
      return {
        get model() {
          return training.head
        },
        step: (pieces) => training.step(pieces),
      }
    },
    async score(head, windows, scale) {
      scorer ??= FeatureHeadScorer.create(config, target, { threads, listedTokens: LISTED_TOKENS.scoring })
      return (await scorer).score(head, windows, scale)
    },
    async release() {
      for (const session of sessions.values()) await (await session).release()
      await (await scorer)?.release()
    },
  }
}
