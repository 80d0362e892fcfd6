import {
  buildFeatureHeadTrainGraph,
  draftVocabSize,
  featureHeadParameter,
  withLayer,
  withoutLayer,
  withVocabulary,
  type DraftLoss,
  type FeatureHead,
  type FeatureHeadBatchShape,
  type FeatureHeadConfig,
  type FeatureHeadLayer,
} from '@plateau/causal-lm'
import { loadSession, type DraftTarget, type ExecutionProvider, type InferenceSession } from '@plateau/inference'
import { FeatureHeadTraining, type DraftStepReport, type FeatureHeadTrainingState, type Piece } from '@plateau/training'
import { seededRandom } from '@plateau/speculation'

export interface GradientOptions {
  readonly loss: DraftLoss
  /** Steps over the head's own states. */
  readonly unrollSteps: number
  /** Share of a step's positions that meet the output head: those of the largest weight. */
  readonly positionShare: number
  readonly learningRate: number
  readonly threads: number
  readonly executionProvider: ExecutionProvider
}

/** What has to be saved: the optimisers, and the solution's projection that they stand on. */
export interface GradientState {
  readonly training: FeatureHeadTrainingState
  readonly projection: Float32Array
  readonly isWarm: boolean
}

export const GRADIENT_SHAPE = { sequences: 8, positions: 64, listedTokens: 32 }
/** Of a new layer's weights. */
const SEED = 2

/** Gradient steps on top of the closed form's newest solution. */
export class GradientStage {
  readonly #session: InferenceSession
  readonly #training: FeatureHeadTraining
  /** Positions count by the scorer's weights, and the lightest not at all. */
  readonly #isSelective: boolean
  /** They have begun on a warm head, not on a solution. */
  #isWarm: boolean
  /** The closed form's projection that training stands on. */
  #projection: Float32Array

  private constructor(
    session: InferenceSession,
    training: FeatureHeadTraining,
    start: FeatureHead,
    { isSelective, isWarm }: { readonly isSelective: boolean; readonly isWarm: boolean },
  ) {
    this.#session = session
    this.#isSelective = isSelective
    this.#isWarm = isWarm
    this.#training = training
    this.#projection = featureHeadParameter(start, 'fc.weight')
  }

  /**
   * `start`: a solution of the closed form. `warm`: a head of the same features that was trained before; gradients go on
   * from it, by themselves: how the closed form moves from there says nothing of what they had gained over it.
   */
  static async open(
    start: FeatureHead,
    target: DraftTarget,
    options: GradientOptions,
    warm?: FeatureHead,
  ): Promise<GradientStage> {
    const head = layered(warm === undefined ? start : withVocabulary(withoutLayer(warm), start.vocabulary))
    const isSelective = options.positionShare < 1
    const shape = batchShape(head.config, options.positionShare)
    const { unrollSteps: unrolledSteps } = options
    const graph = buildFeatureHeadTrainGraph(head.config, shape, options.loss, { unrolledSteps })
    const session = await loadSession(graph, {
      threads: options.threads,
      provider: options.executionProvider,
      name: 'draft training step',
    })
    const training = new FeatureHeadTraining(head, target, session, shape, { learningRate: options.learningRate })
    return new GradientStage(session, training, start, { isSelective, isWarm: warm !== undefined })
  }

  get head(): FeatureHead {
    return this.#training.head
  }

  get steps(): number {
    return this.#training.steps
  }

  step(pieces: readonly Piece[]): Promise<DraftStepReport> {
    return this.#training.step(
      this.#isSelective ? pieces.map((one) => ({ ...one, weights: one.rows.weights })) : pieces,
    )
  }

  /** The closed form has a new solution of the same configuration. With another vocabulary the optimisers start anew. */
  rebase(solution: FeatureHead): void {
    const projection = featureHeadParameter(solution, 'fc.weight')
    if (!this.#isWarm) this.#training.shiftProjection(projection.map((value, i) => value - this.#projection[i]!))
    this.#projection = projection
    const { head } = this.#training
    if (head.vocabulary !== solution.vocabulary) this.#training.restart(withVocabulary(head, solution.vocabulary))
  }

  /** Whether `rebase` can take the solution: the step's graph is made for so many tokens. */
  fits({ config }: FeatureHead): boolean {
    return this.#training.head.config.draftVocabSize === config.draftVocabSize
  }

  /** Begins again from the closed form. */
  restart(solution: FeatureHead): void {
    this.#isWarm = false
    this.#projection = featureHeadParameter(solution, 'fc.weight')
    this.#training.restart(layered(solution))
  }

  get state(): GradientState {
    return { training: this.#training.state, projection: this.#projection, isWarm: this.#isWarm }
  }

  load({ training, projection, isWarm }: GradientState): void {
    this.#isWarm = isWarm
    this.#training.load(training)
    this.#projection = projection
  }

  release(): Promise<void> {
    return this.#session.release()
  }
}

/** Where all positions count, none is selected. */
function batchShape(config: FeatureHeadConfig, positionShare: number): FeatureHeadBatchShape {
  const { sequences, positions } = GRADIENT_SHAPE
  const listedTokens = Math.min(GRADIENT_SHAPE.listedTokens, draftVocabSize(config) - 1)
  const selectedRows = Math.max(1, Math.round(positionShare * sequences * positions))
  return { sequences, positions, listedTokens, ...(positionShare < 1 && { selectedRows }) }
}

/** Of the head that gradients train on top of a solution. */
export function layeredConfig(solution: FeatureHeadConfig): FeatureHeadConfig {
  return { ...solution, layer: layerFor(solution.hiddenSize) }
}

function layered(solution: FeatureHead): FeatureHead {
  return withLayer(solution, layerFor(solution.config.hiddenSize), seededRandom(SEED))
}

/** One Llama layer of the target's width. */
function layerFor(hiddenSize: number): FeatureHeadLayer {
  const headDim = Math.min(64, hiddenSize - (hiddenSize % 2))
  return {
    heads: Math.max(1, Math.round(hiddenSize / headDim)),
    headDim,
    intermediateSize: 8 * Math.max(1, Math.round(hiddenSize / 3)),
    ropeTheta: 10_000,
    contextPositions: 64,
  }
}
