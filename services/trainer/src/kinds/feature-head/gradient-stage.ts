import {
  buildFeatureHeadTrainGraph,
  draftVocabSize,
  gradientLayer,
  featureHeadParameter,
  trainableFeatureHeadParameters,
  withLayer,
  withoutLayer,
  withParameters,
  withVocabulary,
  type DraftLoss,
  type FeatureHead,
  type FeatureHeadBatchShape,
  type FeatureHeadConfig,
} from '@plateau/causal-lm'
import { loadSession, type DraftTarget, type ExecutionProvider, type InferenceSession } from '@plateau/inference'
import { FeatureHeadTraining, type DraftStepReport, type FeatureHeadTrainingState, type Piece } from '@plateau/training'
import { seededRandom } from '@plateau/speculation'
import { StepGraphs } from '../step-graphs.js'

export interface GradientOptions {
  readonly loss: DraftLoss
  /** Steps over the head's own states. */
  readonly unrollSteps: number
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

/** Gradient steps on top of the closed form's newest solution. Rows that count nothing in a step never meet the output head. */
export class GradientStage {
  readonly #graphs: StepGraphs
  readonly #training: FeatureHeadTraining
  /** They have begun on a warm head, not on a solution. */
  #isWarm: boolean
  /** The closed form's projection that training stands on. */
  #projection: Float32Array

  /**
   * `start`: a solution of the closed form. `warm`: a head of the same features that was trained before; gradients go on
   * from it, by themselves: how the closed form moves from there says nothing of what they had gained over it.
   */
  constructor(start: FeatureHead, target: DraftTarget, options: GradientOptions, warm?: FeatureHead) {
    const head = layered(warm === undefined ? start : withVocabulary(withoutLayer(warm), start.vocabulary))
    const shape = batchShape(head.config)
    this.#graphs = new StepGraphs(shape.selectedRows, (selectedRows) =>
      loadStep(head.config, { ...shape, selectedRows }, options),
    )
    const { learningRate } = options
    this.#training = new FeatureHeadTraining(head, target, this.#graphs, shape, { learningRate })
    this.#isWarm = warm !== undefined
    this.#projection = featureHeadParameter(start, 'fc.weight')
  }

  get head(): FeatureHead {
    return this.#training.head
  }

  get steps(): number {
    return this.#training.steps
  }

  step(pieces: readonly Piece[]): Promise<DraftStepReport> {
    return this.#training.step(pieces)
  }

  /** What gradients train, by name: a copy. */
  get parameters(): ReadonlyMap<string, Float32Array> {
    const { config, parameters } = this.#training.head
    return new Map(trainableFeatureHeadParameters(config).map((name) => [name, parameters.get(name)!.data]))
  }

  /** The head as it is, with other numbers in what gradients train. */
  headOf(parameters: ReadonlyMap<string, Float32Array>): FeatureHead {
    return withParameters(this.#training.head, Object.fromEntries(parameters))
  }

  /**
   * The closed form has a new solution of the same configuration. Returns what that added to the parameters, by name;
   * undefined when the optimisers started anew, which another vocabulary makes them do.
   */
  rebase(solution: FeatureHead): ReadonlyMap<string, Float32Array> | undefined {
    const projection = featureHeadParameter(solution, 'fc.weight')
    const change = this.#isWarm ? undefined : projection.map((value, i) => value - this.#projection[i]!)
    if (change !== undefined) this.#training.shiftProjection(change)
    this.#projection = projection
    const { head } = this.#training
    if (head.vocabulary === solution.vocabulary) return new Map(change === undefined ? [] : [['fc.weight', change]])
    this.#training.restart(withVocabulary(head, solution.vocabulary))
    return undefined
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
    return this.#graphs.release()
  }
}

function batchShape(config: FeatureHeadConfig) {
  const { sequences, positions } = GRADIENT_SHAPE
  const listedTokens = Math.min(GRADIENT_SHAPE.listedTokens, draftVocabSize(config) - 1)
  return { sequences, positions, listedTokens, selectedRows: sequences * positions }
}

function loadStep(
  config: FeatureHeadConfig,
  shape: FeatureHeadBatchShape,
  { loss, unrollSteps: unrolledSteps, threads, executionProvider: provider }: GradientOptions,
): Promise<InferenceSession> {
  const graph = buildFeatureHeadTrainGraph(config, shape, loss, { unrolledSteps })
  return loadSession(graph, { threads, provider, name: 'draft training step' })
}

/** Of the head that gradients train on top of a solution. */
export function layeredConfig(solution: FeatureHeadConfig): FeatureHeadConfig {
  return { ...solution, layer: gradientLayer(solution.hiddenSize) }
}

function layered(solution: FeatureHead): FeatureHead {
  return withLayer(solution, gradientLayer(solution.config.hiddenSize), seededRandom(SEED))
}
