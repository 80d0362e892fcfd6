/**
 * The gradient stage of a feature-fed head: it continues from the closed form. The arithmetic runs in a compute engine
 * that the caller passes in; parameters live in the optimisers' memory, where the engine reads them in place.
 *
 * The input projection, which the closed form has solved already, learns at a fraction of the rate of everything else,
 * and a long warm-up keeps the first noisy steps from undoing it.
 */
import {
  featureHeadParameter,
  featureHeadShapes,
  gradientPrefix,
  trainableFeatureHeadParameters,
  withParameters,
  type FeatureHead,
  type FeatureHeadBatchShape,
} from '@plateau/causal-lm'
import { AdamW, type OptimizerState } from './adamw.js'
import { fillBatch, type Piece } from './draft-batch.js'
import type { DraftTarget } from './draft-rows.js'
import type { ComputeEngine, EngineTensor } from './language-model-training.js'
import { linearWarmUp } from './schedule.js'

export interface FeatureHeadTrainingOptions {
  readonly learningRate: number
  /** The input projection's share of it. */
  readonly projectionRate: number
  readonly warmUpSteps: number
  readonly weightDecay: number
  /** Applied steps between two copies of a state known to be good. */
  readonly stepsPerGoodCopy: number
  /** Steps skipped in a row after which the last good state comes back. */
  readonly skipsBeforeRestore: number
}

export const defaultFeatureHeadTraining: FeatureHeadTrainingOptions = {
  learningRate: 5e-4,
  projectionRate: 0.2,
  warmUpSteps: 60,
  weightDecay: 0.01,
  stepsPerGoodCopy: 40,
  skipsBeforeRestore: 3,
}

export interface DraftStepReport {
  /** Mean over the batch's positions: 1 - alpha for TV, nats for KL; before the step. */
  readonly loss: number
  /** Before clipping. */
  readonly gradientNorm: number
  /** Positions in the batch. */
  readonly positions: number
  /** false: loss or gradient was not finite, and nothing changed. */
  readonly applied: boolean
  /** Too many steps in a row were skipped: the last good state is back. */
  readonly restored: boolean
}

export interface FeatureHeadTrainingState {
  readonly projection: OptimizerState
  readonly rest: OptimizerState
}

const PROJECTION = 'fc.weight'

export class FeatureHeadTraining {
  readonly #shape: FeatureHeadBatchShape
  readonly #target: DraftTarget
  readonly #engine: ComputeEngine
  readonly #options: FeatureHeadTrainingOptions
  readonly #projection: AdamW
  readonly #rest: AdamW
  #head: FeatureHead
  #good: FeatureHeadTrainingState
  #sinceGood = 0
  #skippedInARow = 0

  /** `engine` runs the graph of buildFeatureHeadTrainGraph for the head's configuration and this shape. */
  constructor(
    head: FeatureHead,
    target: DraftTarget,
    engine: ComputeEngine,
    shape: FeatureHeadBatchShape,
    options: Partial<FeatureHeadTrainingOptions> = {},
  ) {
    this.#head = head
    this.#target = target
    this.#engine = engine
    this.#shape = shape
    this.#options = { ...defaultFeatureHeadTraining, ...options }
    const all = featureHeadShapes(head.config)
    const shapesOf = (names: string[]) => new Map(names.map((name) => [name, all.get(name)!]))
    const names = trainableFeatureHeadParameters(head.config)
    const adam = { weightDecay: this.#options.weightDecay }
    this.#projection = new AdamW(shapesOf([PROJECTION]), adam)
    this.#rest = new AdamW(shapesOf(names.filter((name) => name !== PROJECTION)), adam)
    this.#good = this.restart(head)
  }

  /** Steps applied since the start. */
  get steps(): number {
    return this.#projection.state.steps
  }

  /** The head as it is now: a copy. */
  get head(): FeatureHead {
    const trained = [...this.#projection.state.parameters, ...this.#rest.state.parameters]
    return withParameters(this.#head, Object.fromEntries(trained.map(([name, data]) => [name, data.slice()])))
  }

  /** Begins anew from another head of the same configuration. */
  restart(head: FeatureHead): FeatureHeadTrainingState {
    const parameters = new Map([...head.parameters].map(([name, { data }]) => [name, data]))
    this.#head = head
    this.#projection.loadParameters(parameters)
    this.#rest.loadParameters(parameters)
    return this.#copyGood()
  }

  /** The closed form has moved: what gradients added to it stays. `change` [H, 2H + m]. */
  shiftProjection(change: Float32Array): void {
    const fc = this.#projection.state.parameters.get(PROJECTION)!
    for (let i = 0; i < fc.length; i++) fc[i]! += change[i]!
    this.#copyGood()
  }

  async step(pieces: readonly Piece[]): Promise<DraftStepReport> {
    const { sequences, positions, listedTokens: k } = this.#shape
    const rows = sequences * positions
    const batch = fillBatch(pieces, this.#target, k, sequences, positions)
    const count = batch.present.reduce((sum, one) => sum + one, 0)
    if (count === 0) throw new RangeError('a training step needs at least one position')
    const floats = (data: Float32Array, ...dims: number[]): EngineTensor => ({ type: 'float32', dims, data })
    const hidden = this.#head.config.hiddenSize
    const outputs = await this.#engine.run({
      ...this.#parameterTensors(),
      head: floats(this.#target.head, this.#head.config.vocabSize, hidden),
      token: floats(batch.token, rows, hidden),
      feature: floats(batch.feature, rows, hidden),
      target_ids: { type: 'int64', dims: [rows, k], data: batch.ids },
      target_probs: floats(batch.probs, rows, k),
      row_weights: floats(
        batch.present.map((one) => one / count),
        rows,
      ),
    })
    return { positions: count, ...this.#apply(outputs) }
  }

  /** Copies of everything a later process needs to continue exactly here. */
  get state(): FeatureHeadTrainingState {
    return { projection: copyState(this.#projection.state), rest: copyState(this.#rest.state) }
  }

  load(state: FeatureHeadTrainingState): void {
    this.#projection.load(state.projection)
    this.#rest.load(state.rest)
    this.#copyGood()
  }

  #apply(outputs: Readonly<Record<string, { readonly data: unknown }>>): Omit<DraftStepReport, 'positions'> {
    const loss = floatsOf(outputs, 'loss')[0]!
    const gradients = new Map<string, Float32Array>()
    for (const name of trainableFeatureHeadParameters(this.#head.config)) {
      gradients.set(name, floatsOf(outputs, `${gradientPrefix}${name}`))
    }
    const gradientNorm = normOf(gradients.values())
    // Judged before either optimiser moves: both step, or none.
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      return { loss, gradientNorm, applied: false, restored: this.#skip() }
    }
    const { learningRate, projectionRate, warmUpSteps, stepsPerGoodCopy } = this.#options
    const rate = learningRate * linearWarmUp(this.steps, warmUpSteps)
    this.#rest.step(gradients, rate)
    this.#projection.step(gradients, rate * projectionRate)
    this.#skippedInARow = 0
    if (++this.#sinceGood >= stepsPerGoodCopy) this.#copyGood()
    return { loss, gradientNorm, applied: true, restored: false }
  }

  #skip(): boolean {
    if (++this.#skippedInARow < this.#options.skipsBeforeRestore) return false
    this.#projection.load(this.#good.projection)
    this.#rest.load(this.#good.rest)
    this.#skippedInARow = 0
    return true
  }

  /** A state is good when every number in it is finite. */
  #copyGood(): FeatureHeadTrainingState {
    this.#sinceGood = 0
    const state = this.state
    const isFinite = [...state.projection.parameters.values(), ...state.rest.parameters.values()].every((values) =>
      values.every(Number.isFinite),
    )
    if (isFinite || this.#good === undefined) this.#good = state
    return this.#good
  }

  #parameterTensors(): Record<string, EngineTensor> {
    const trained = new Map([...this.#projection.state.parameters, ...this.#rest.state.parameters])
    const tensors: Record<string, EngineTensor> = {}
    for (const [name, dims] of featureHeadShapes(this.#head.config)) {
      tensors[name] = { type: 'float32', dims, data: trained.get(name) ?? featureHeadParameter(this.#head, name) }
    }
    return tensors
  }
}

function copyState(state: OptimizerState): OptimizerState {
  const copy = (values: ReadonlyMap<string, Float32Array>) =>
    new Map([...values].map(([name, data]) => [name, data.slice()]))
  return {
    steps: state.steps,
    parameters: copy(state.parameters),
    firstMoments: copy(state.firstMoments),
    secondMoments: copy(state.secondMoments),
  }
}

function normOf(gradients: Iterable<Float32Array>): number {
  let squares = 0
  for (const gradient of gradients) for (let i = 0; i < gradient.length; i++) squares += gradient[i]! ** 2
  return Math.sqrt(squares)
}

function floatsOf(outputs: Readonly<Record<string, { readonly data: unknown }>>, name: string): Float32Array {
  const data = outputs[name]?.data
  if (data instanceof Float32Array) return data
  throw new TypeError(`the engine's output ${name} is not an array of 32-bit floats`)
}
