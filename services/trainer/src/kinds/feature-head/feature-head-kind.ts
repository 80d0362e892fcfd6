import {
  checkFeatureHeadFits,
  featureHeadInputs,
  featureHeadKind as name,
  initialFeatureHead,
  type FeatureHead,
  type FeatureHeadConfig,
} from '@plateau/causal-lm'
import { prepareDraftTarget } from '@plateau/inference'
import { decodeFeatureHead, encodeFeatureHead, type DraftTargetModel, type FloatDtype } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import { decodeRidgePrior } from '@plateau/training'
import { expectationsOf } from '../../training-record.js'
import type { DraftKind } from '../draft-kind.js'
import { LEARNED_FROM_NOBODY } from '../learned-from.js'
import { positionBytes } from '../memory.js'
import { asWarmStart, PRIOR_FILE, type WarmStart } from '../warm-start.js'
import { FeatureHeadLearner, type FeatureHeadLearnerOptions } from './feature-head-learner.js'

/** Of a lineage's random features and its untrained first version. */
const SEED = 1
/** A decoder layer makes a draft step about twice as long: it must earn that. */
const LAYER_COST = 0.01

export interface FeatureHeadKindOptions extends Omit<FeatureHeadLearnerOptions, 'prior' | 'initialFrom'> {
  /** Of a new lineage's head. */
  readonly bilinearFeatures: number
  /** Of the weights of versions. */
  readonly checkpointDtype: FloatDtype
  /** What a new lineage begins with instead of an untrained head. */
  readonly warm?: WarmStart | undefined
}

/** Predicts the target's next hidden state from a token and the state it was drawn from (EAGLE's shape). */
export function featureHeadKind(options: FeatureHeadKindOptions, model: DraftTargetModel): DraftKind<FeatureHead> {
  const { hiddenSize } = model.config
  const warm = options.warm && warmHead(options.warm, model)
  const initialFrom = options.warm?.learnedFrom ?? LEARNED_FROM_NOBODY
  return {
    name,
    expected: expectationsOf(model),
    initial: () => warm?.head ?? initialFeatureHead(headConfig(options, model), model.target, seededRandom(SEED)),
    initialFrom,
    encode: (head) => encodeFeatureHead(head, options.checkpointDtype),
    decode: decodeFeatureHead,
    positionBytes: positionBytes(hiddenSize),
    costOf: (head) => (head.config.layer === undefined ? 0 : LAYER_COST),
    open: (start) => {
      const target = prepareDraftTarget(model.target, start.incumbent.config)
      return FeatureHeadLearner.open({ ...options, prior: warm?.prior, initialFrom }, target, start)
    },
  }
}

function headConfig({ bilinearFeatures }: FeatureHeadKindOptions, { config }: DraftTargetModel): FeatureHeadConfig {
  const { hiddenSize, vocabSize, rmsNormEps } = config
  const seed = bilinearFeatures > 0 ? { bilinearSeed: SEED } : {}
  return { hiddenSize, vocabSize, bilinearFeatures, ...seed, rmsNormEps, layer: undefined }
}

/** Throws WARM_START_INVALID. */
function warmHead({ directory, files }: WarmStart, { target }: DraftTargetModel) {
  return asWarmStart(directory, () => {
    const head = decodeFeatureHead(files, directory)
    checkFeatureHeadFits(head.config, target)
    const bytes = files.get(PRIOR_FILE)
    const prior = bytes && decodeRidgePrior(bytes)
    if (prior !== undefined && prior.inputs !== featureHeadInputs(head.config)) {
      throw new RangeError(`has a prior of ${prior.inputs} inputs for a head of ${featureHeadInputs(head.config)}`)
    }
    return { head, prior: prior && { prior, head } }
  })
}
