import {
  featureHeadKind as name,
  initialFeatureHead,
  type FeatureHead,
  type FeatureHeadConfig,
} from '@plateau/causal-lm'
import { prepareDraftTarget } from '@plateau/inference'
import { decodeFeatureHead, encodeFeatureHead, type DraftTargetModel, type FloatDtype } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import { expectationsOf } from '../../training-record.js'
import type { DraftKind } from '../draft-kind.js'
import { positionBytes } from '../memory.js'
import { FeatureHeadLearner, type FeatureHeadLearnerOptions } from './feature-head-learner.js'

/** Of a lineage's random features and its untrained first version. */
const SEED = 1
/** A decoder layer makes a draft step about twice as long: it must earn that. */
const LAYER_COST = 0.01

export interface FeatureHeadKindOptions extends FeatureHeadLearnerOptions {
  /** Of a new lineage's head. */
  readonly bilinearFeatures: number
  /** Of the weights of versions. */
  readonly checkpointDtype: FloatDtype
}

/** Predicts the target's next hidden state from a token and the state it was drawn from (EAGLE's shape). */
export function featureHeadKind(options: FeatureHeadKindOptions, model: DraftTargetModel): DraftKind<FeatureHead> {
  const { hiddenSize, vocabSize, rmsNormEps } = model.config
  const { bilinearFeatures } = options
  const config: FeatureHeadConfig = {
    hiddenSize,
    vocabSize,
    bilinearFeatures,
    ...(bilinearFeatures > 0 && { bilinearSeed: SEED }),
    rmsNormEps,
    layer: undefined,
  }
  return {
    name,
    expected: expectationsOf(model),
    initial: () => initialFeatureHead(config, model.target, seededRandom(SEED)),
    encode: (head) => encodeFeatureHead(head, options.checkpointDtype),
    decode: decodeFeatureHead,
    positionBytes: positionBytes(hiddenSize),
    costOf: (head) => (head.config.layer === undefined ? 0 : LAYER_COST),
    open: (start) => FeatureHeadLearner.open(options, prepareDraftTarget(model.target, start.incumbent.config), start),
  }
}
