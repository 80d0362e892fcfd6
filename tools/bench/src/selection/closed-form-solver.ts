/** Heads in closed form: the ridge regression over whatever rows an arm chose (libs/training, ridge-sums.ts). */
import {
  featureHeadInputs,
  initialFeatureHead,
  withParameters,
  withVocabulary,
  type FeatureHead,
  type FeatureHeadConfig,
} from '@plateau/causal-lm'
import {
  FeatureHeadScorer,
  prepareDraftTarget,
  RidgeAccumulator,
  RidgeSolver,
  type DraftRows,
  type DraftTarget,
} from '@plateau/inference'
import type { DraftTargetModel } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import { emptySums, featureHeadRidge, pickRows, transposed, type RidgeSums } from '@plateau/training'
import type { ScoreDraft } from './evaluate.js'

export interface ClosedFormOptions {
  readonly target: DraftTargetModel
  readonly vocabulary: Int32Array | undefined
  readonly threads: number
}

/** As the trainer's defaults are. */
const BILINEAR_FEATURES = 512
const BILINEAR_SEED = 1
const LAMBDA = 30
const LISTED_TOKENS = 64

export class ClosedFormSolver {
  readonly target: DraftTarget
  readonly scorer: FeatureHeadScorer
  readonly #base: FeatureHead
  readonly #vocabulary: Int32Array | undefined
  readonly #accumulator: RidgeAccumulator
  readonly #solver: RidgeSolver

  private constructor(
    target: DraftTarget,
    base: FeatureHead,
    vocabulary: Int32Array | undefined,
    tools: {
      readonly accumulator: RidgeAccumulator
      readonly solver: RidgeSolver
      readonly scorer: FeatureHeadScorer
    },
  ) {
    this.target = target
    this.#base = base
    this.#vocabulary = vocabulary
    this.#accumulator = tools.accumulator
    this.#solver = tools.solver
    this.scorer = tools.scorer
  }

  static async open({ target: model, vocabulary, threads }: ClosedFormOptions): Promise<ClosedFormSolver> {
    const config = headConfig(model)
    const target = prepareDraftTarget(model.target, config)
    const base = initialFeatureHead(config, model.target, seededRandom(BILINEAR_SEED))
    return new ClosedFormSolver(target, base, vocabulary, {
      accumulator: await RidgeAccumulator.create(base, target, threads),
      solver: await RidgeSolver.create({ threads }),
      scorer: await FeatureHeadScorer.create(withVocabulary(base, vocabulary).config, target, {
        threads,
        listedTokens: LISTED_TOKENS,
      }),
    })
  }

  empty(): RidgeSums {
    return emptySums(featureHeadInputs(this.#base.config), this.#base.config.hiddenSize)
  }

  /** Adds rows to the sums, each counting its weight (not set: 1). Rows that count nothing cost nothing. */
  async add(sums: RidgeSums, rows: DraftRows, weights?: ArrayLike<number>): Promise<void> {
    await this.#accumulator.add(sums, countingRows(rows, weights))
  }

  /** The head that solves the sums, reading the common vocabulary; its logit scale is not fitted yet. */
  async solve(sums: RidgeSums): Promise<FeatureHead> {
    await this.#accumulator.flush(sums)
    const w = await this.#solver.solve(sums, featureHeadRidge(this.#base.config, LAMBDA))
    const projection = transposed(w, sums.inputs, sums.outputs, new Float32Array(w.length))
    return withVocabulary(withParameters(this.#base, { 'fc.weight': projection }), this.#vocabulary)
  }

  scoreOf(head: FeatureHead): ScoreDraft {
    return (windows, logitScale) => this.scorer.score(head, windows, logitScale)
  }

  /** All rows added so far are in their sums. */
  flush(): Promise<void> {
    return this.#accumulator.flush()
  }

  async release(): Promise<void> {
    await this.#accumulator.release()
    await this.#solver.release()
    await this.scorer.release()
  }
}

/** Without a layer: the closed form and nothing else. */
function headConfig({ config }: DraftTargetModel): FeatureHeadConfig {
  const { hiddenSize, vocabSize, rmsNormEps } = config
  return {
    hiddenSize,
    vocabSize,
    bilinearFeatures: BILINEAR_FEATURES,
    bilinearSeed: BILINEAR_SEED,
    rmsNormEps,
    layer: undefined,
  }
}

/** Rows that count nothing are left out. */
function countingRows(rows: DraftRows, weights: ArrayLike<number> | undefined): DraftRows {
  if (weights === undefined) return { ...rows, weights: new Float32Array(rows.length).fill(1) }
  const counting = Array.from({ length: rows.length }, (_, r) => r).filter((r) => weights[r]! > 0)
  return { ...pickRows(rows, counting), weights: Float32Array.from(counting, (r) => weights[r]!) }
}
