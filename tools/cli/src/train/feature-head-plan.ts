import {
  buildFeatureHeadTrainGraph,
  draftVocabSize,
  featureHeadKind,
  initialFeatureHead,
  withParameters,
  withVocabulary,
  type FeatureHead,
} from '@plateau/causal-lm'
import {
  FeatureHeadDraft,
  FeatureHeadScorer,
  loadSession,
  prepareDraftTarget,
  type DraftTarget,
} from '@plateau/inference'
import { decodeFeatureHead, encodeFeatureHead, type DraftTargetModel } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import { encodeRidgePrior, FeatureHeadTraining, ridgePrior, type FeatureHeadTrainingState } from '@plateau/training'
import { rm } from 'node:fs/promises'
import { accumulateSums, solveClosedForm } from './closed-form-stage.js'
import type { DraftPlan, GradientOptions, GradientRun } from './draft-plan.js'
import { optimizerState, optimizerTensors } from './optimizer-tensors.js'

export interface FeatureHeadPlanOptions {
  readonly bilinearFeatures: number
  readonly lambda: number
  readonly threads: number
  readonly seed: number
  readonly sumsFile: string
}

const SHAPE = { sequences: 8, positions: 64, listedTokens: 64 }
const TRAINED = { features: true }
/**
 * Of the learning rate, for the projection that the closed form has solved. Matrices behind the features begin at random
 * and take all of it.
 */
const PROJECTION_RATE = 0.3
const LISTED_TOKENS = 64
const PARTS = ['projection', 'rest'] as const
/** What a trainer that begins with the head goes on from: the closed form's statistics. */
const PRIOR_FILE = 'prior.bin'

/**
 * The feature-fed head without a layer: the closed form on random bilinear features, then gradients on everything, the
 * matrices behind the features too. What comes out is a head whose projection the trainer can solve again, online, on
 * features that are no longer random.
 */
export function featureHeadPlan(model: DraftTargetModel, options: FeatureHeadPlanOptions): DraftPlan<FeatureHead> {
  const { hiddenSize, vocabSize, rmsNormEps } = model.config
  const { bilinearFeatures, threads } = options
  const config = { hiddenSize, vocabSize, bilinearFeatures, rmsNormEps, layer: undefined }
  const target = prepareDraftTarget(model.target, config)
  let scorer: Promise<FeatureHeadScorer> | undefined
  return {
    kind: featureHeadKind,
    expected: {
      targetFingerprint: model.fingerprint,
      tokenizerHash: model.tokenizerHash,
      vocabSize,
      norm: model.target.norm,
    },
    startStage: 'closed form',
    async start(data, vocabulary, progress) {
      const base = initialFeatureHead(config, model.target, seededRandom(options.seed))
      const { positions } = await data.tokenCounts()
      const solved = await solveClosedForm(base, target, data, { ...options, positions }, progress)
      return withVocabulary(solved, vocabulary)
    },
    openGradients: (start, gradients) => openGradients(start, target, gradients),
    async score(head, windows, logitScale) {
      scorer ??= FeatureHeadScorer.create(head.config, target, { threads, listedTokens: LISTED_TOKENS })
      return (await scorer).score(head, windows, logitScale)
    },
    withLogitScale: (head, scale) => withParameters(head, { logit_scale: Float32Array.of(scale) }),
    load: (head) => FeatureHeadDraft.load(head, target, { version: 'trained offline', threads }),
    encode: (head) => encodeFeatureHead(head, 'F16'),
    async companions(head, data, progress) {
      const { positions } = await data.tokenCounts()
      const sumsFile = `${options.sumsFile}.prior`
      const sums = await accumulateSums(head, target, data, { ...options, sumsFile, positions }, progress)
      // They belong to this head's features: a later run may end with another head.
      await rm(sumsFile, { force: true })
      return [{ path: PRIOR_FILE, bytes: encodeRidgePrior(ridgePrior(sums)) }]
    },
    decode: decodeFeatureHead,
    release: async () => (await scorer)?.release(),
  }
}

async function openGradients(
  start: FeatureHead,
  target: DraftTarget,
  options: GradientOptions,
): Promise<GradientRun<FeatureHead>> {
  const shape = { ...SHAPE, listedTokens: Math.min(SHAPE.listedTokens, draftVocabSize(start.config) - 1) }
  const graph = buildFeatureHeadTrainGraph(start.config, shape, options.loss, TRAINED)
  const session = await loadSession(graph, { threads: options.threads, name: 'draft training step' })
  const training = new FeatureHeadTraining(start, target, session, shape, {
    learningRate: options.learningRate,
    projectionRate: PROJECTION_RATE,
    decay: options.decay,
    trained: TRAINED,
  })
  return {
    shape,
    get model() {
      return training.head
    },
    get steps() {
      return training.steps
    },
    step: (pieces) => training.step(pieces),
    state: () => new Map([...PARTS].flatMap((part) => [...optimizerTensors(part, training.state[part])])),
    load: (state) =>
      training.load(
        Object.fromEntries(
          PARTS.map((part) => [part, optimizerState(part, state)]),
        ) as unknown as FeatureHeadTrainingState,
      ),
    release: () => session.release(),
  }
}
