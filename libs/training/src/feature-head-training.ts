/**
 * The gradient stage of a feature-fed head: it continues from the closed form. The arithmetic runs in a compute engine
 * that the caller passes in; parameters live in the optimisers' memory, where the engine reads them in place.
 *
 * The input projection, which the closed form has solved already, learns at a fraction of the rate of everything else,
 * and a long warm-up keeps the first noisy steps from undoing it.
 */
import {
  draftOutputHead,
  draftRowsOfTokens,
  draftVocabSize,
  featureHeadParameter,
  featureHeadShapes,
  trainableFeatureHeadParameters,
  withParameters,
  type FeatureHead,
  type FeatureHeadBatchShape,
  type TrainedParts,
} from '@plateau/causal-lm'
import type { OptimizerState } from './adamw.js'
import { chooseRows, fillBatch, type Piece } from './draft-batch.js'
import type { DraftTarget } from './draft-rows.js'
import { GuardedOptimizer, type GuardedOptions, type GuardedStep } from './guarded-optimizer.js'
import {
  gradientsOf,
  gradientTensors,
  lossOf,
  runStep,
  type EngineTensor,
  type TrainingEngine,
} from './language-model-training.js'

export interface FeatureHeadTrainingOptions extends GuardedOptions {
  /** The input projection's share of the learning rate. */
  readonly projectionRate: number
  /** As the engine's graph was built. */
  readonly trained: TrainedParts
}

export const defaultFeatureHeadTraining: FeatureHeadTrainingOptions = {
  learningRate: 5e-4,
  projectionRate: 0.2,
  trained: {},
  warmUpSteps: 60,
  weightDecay: 0.01,
  stepsPerGoodCopy: 40,
  skipsBeforeRestore: 3,
}

export interface DraftStepReport extends GuardedStep {
  /** Mean over the positions that count, by what they count: 1 - alpha for TV, nats for KL; before the step. */
  readonly loss: number
  /** Positions that counted. */
  readonly positions: number
}

export interface FeatureHeadTrainingState {
  readonly projection: OptimizerState
  readonly rest: OptimizerState
}

const PROJECTION = 'fc.weight'

export class FeatureHeadTraining {
  readonly #shape: FeatureHeadBatchShape
  readonly #target: DraftTarget
  readonly #engine: TrainingEngine
  readonly #places: Record<string, EngineTensor>
  readonly #optimizer: GuardedOptimizer
  #head: FeatureHead
  /** What depends on the head's vocabulary alone. */
  #vocabulary: { readonly outputHead: EngineTensor; readonly draftRows: Int32Array | undefined }

  /** `engine` runs the graph of buildFeatureHeadTrainGraph for the head's configuration and this shape. */
  constructor(
    head: FeatureHead,
    target: DraftTarget,
    engine: TrainingEngine,
    shape: FeatureHeadBatchShape,
    options: Partial<FeatureHeadTrainingOptions> = {},
  ) {
    this.#head = head
    this.#target = target
    this.#vocabulary = this.#readVocabulary(head)
    this.#engine = engine
    this.#shape = shape
    const { projectionRate, trained, ...guarded } = { ...defaultFeatureHeadTraining, ...options }
    const all = featureHeadShapes(head.config)
    const shapesOf = (names: string[]) => new Map(names.map((name) => [name, all.get(name)!]))
    const rest = trainableFeatureHeadParameters(head.config, trained).filter((name) => name !== PROJECTION)
    this.#optimizer = new GuardedOptimizer(
      [
        { shapes: shapesOf([PROJECTION]), rate: projectionRate },
        { shapes: shapesOf(rest), rate: 1 },
      ],
      guarded,
    )
    this.#places = gradientTensors(all, this.#optimizer.gradients)
    this.restart(head)
  }

  /** Steps applied since the start. */
  get steps(): number {
    return this.#optimizer.steps
  }

  /** The head as it is now: a copy. */
  get head(): FeatureHead {
    const trained = [...this.#optimizer.parameters].map(([name, data]) => [name, data.slice()] as const)
    return withParameters(this.#head, Object.fromEntries(trained))
  }

  /** Begins anew from another head of the same configuration, whatever its vocabulary. */
  restart(head: FeatureHead): void {
    this.#head = head
    this.#vocabulary = this.#readVocabulary(head)
    this.#optimizer.restart(new Map([...head.parameters].map(([name, { data }]) => [name, data])))
  }

  /** The closed form has moved: what gradients added to it stays. `change` [H, 2H + m]. */
  shiftProjection(change: Float32Array): void {
    const fc = this.#optimizer.parameters.get(PROJECTION)!
    for (let i = 0; i < fc.length; i++) fc[i]! += change[i]!
    this.#optimizer.keep()
  }

  async step(pieces: readonly Piece[]): Promise<DraftStepReport> {
    const { sequences, positions, listedTokens: k } = this.#shape
    const rows = sequences * positions
    const batch = fillBatch(pieces, this.#target, k, sequences, positions, this.#vocabulary.draftRows)
    const { selectedRows = rows } = this.#shape
    const chosen = this.#shape.selectedRows === undefined ? batch : chooseRows(batch, k, selectedRows)
    const total = chosen.weights.reduce((sum, weight) => sum + weight, 0)
    if (!(total > 0)) throw new RangeError('a training step needs at least one position that counts')
    const floats = (data: Float32Array, ...dims: number[]): EngineTensor => ({ type: 'float32', dims, data })
    const hidden = this.#head.config.hiddenSize
    const feeds: Record<string, EngineTensor> = {
      ...this.#parameterTensors(),
      head: this.#vocabulary.outputHead,
      token: floats(batch.token, rows, hidden),
      feature: floats(batch.feature, rows, hidden),
      ...('selected' in chosen && { selected: { type: 'int64', dims: [selectedRows], data: chosen.selected } }),
      target_ids: { type: 'int64', dims: [selectedRows, k], data: chosen.ids },
      target_probs: floats(chosen.probs, selectedRows, k),
      row_weights: floats(
        chosen.weights.map((weight) => weight / total),
        selectedRows,
      ),
    }
    const outputs = await runStep(this.#engine, feeds, this.#places)
    const count = chosen.weights.reduce((sum, weight) => sum + Number(weight > 0), 0)
    const loss = lossOf(outputs)
    return { positions: count, loss, ...this.#optimizer.step(loss, gradientsOf(outputs)) }
  }

  /** Copies of everything a later process needs to continue exactly here. */
  get state(): FeatureHeadTrainingState {
    const [projection, rest] = this.#optimizer.states
    return { projection: projection!, rest: rest! }
  }

  load({ projection, rest }: FeatureHeadTrainingState): void {
    this.#optimizer.load([projection, rest])
  }

  #readVocabulary(head: FeatureHead) {
    const dims = [draftVocabSize(head.config), head.config.hiddenSize]
    const outputHead: EngineTensor = { type: 'float32', dims, data: draftOutputHead(head, this.#target) }
    return { outputHead, draftRows: draftRowsOfTokens(head) }
  }

  #parameterTensors(): Record<string, EngineTensor> {
    const trained = this.#optimizer.parameters
    const tensors: Record<string, EngineTensor> = {}
    for (const [name, dims] of featureHeadShapes(this.#head.config)) {
      tensors[name] = { type: 'float32', dims, data: trained.get(name) ?? featureHeadParameter(this.#head, name) }
    }
    return tensors
  }
}
