/**
 * Gradient training of a causal draft on captured windows. The arithmetic runs in a compute engine that the caller passes
 * in; parameters live in the optimiser's memory, where the engine reads them in place.
 */
import {
  checkCausalDraft,
  draftVocabularyMap,
  parameterShapes,
  type CausalDraft,
  type DraftVocabularyMap,
} from '@plateau/causal-lm'
import type { OptimizerState } from './adamw.js'
import { selectedTokenRows, tokenBatch, type TokenBatchShape, type TokenRows } from './causal-draft-rows.js'
import type { ChosenRows, Piece } from './draft-batch.js'
import type { DraftStepReport } from './feature-head-training.js'
import { GuardedOptimizer, type GuardedOptions } from './guarded-optimizer.js'
import {
  batchTensors,
  gradientsOf,
  gradientTensors,
  lossOf,
  parameterTensors,
  runStep,
  type EngineTensor,
  type TrainingEngine,
} from './language-model-training.js'

export const defaultCausalDraftTraining: GuardedOptions = {
  learningRate: 1e-3,
  warmUpSteps: 50,
  weightDecay: 0.01,
  stepsPerGoodCopy: 40,
  skipsBeforeRestore: 3,
}

export class CausalDraftTraining {
  readonly #engine: TrainingEngine
  readonly #places: Record<string, EngineTensor>
  readonly #shape: TokenBatchShape
  readonly #optimizer: GuardedOptimizer
  #draft: CausalDraft
  #vocabulary: DraftVocabularyMap

  /** `engine` runs buildTrainGraph's graph for the draft's model and this shape. */
  constructor(
    draft: CausalDraft,
    engine: TrainingEngine,
    shape: TokenBatchShape,
    options: Partial<GuardedOptions> = {},
  ) {
    this.#engine = engine
    this.#shape = shape
    this.#draft = draft
    this.#vocabulary = draftVocabularyMap(draft.config)
    const shapes = parameterShapes(draft.config.model)
    this.#optimizer = new GuardedOptimizer([{ shapes, rate: 1 }], { ...defaultCausalDraftTraining, ...options })
    this.#places = gradientTensors(shapes, this.#optimizer.gradients)
    this.restart(draft)
  }

  /** Steps applied since the start. */
  get steps(): number {
    return this.#optimizer.steps
  }

  /** The draft as it is now: a copy. */
  get draft(): CausalDraft {
    const shapes = parameterShapes(this.#draft.config.model)
    const parameters = [...this.#optimizer.parameters].map(
      ([name, data]) => [name, { shape: shapes.get(name)!, data: data.slice() }] as const,
    )
    return { config: this.#draft.config, parameters: new Map(parameters) }
  }

  /** Begins anew from another draft of the same shapes; its vocabulary may be another one. */
  restart(draft: CausalDraft): void {
    checkCausalDraft(draft)
    this.#optimizer.restart(new Map([...draft.parameters].map(([name, { data }]) => [name, data])))
    this.#draft = draft
    this.#vocabulary = draftVocabularyMap(draft.config)
  }

  async step(pieces: readonly Piece<TokenRows>[]): Promise<DraftStepReport> {
    const batch = tokenBatch(pieces, this.#vocabulary, this.#shape)
    const { selectedRows } = this.#shape
    const chosen = selectedRows === undefined ? undefined : selectedTokenRows(batch, selectedRows)
    const counts = chosen?.weights ?? batch.rowWeights
    const positions = counts.reduce((sum, weight) => sum + Number(weight > 0), 0)
    if (positions === 0) throw new RangeError('a training step needs at least one position that counts')
    const parameters = parameterTensors(this.#draft.config.model, this.#optimizer.parameters)
    const feeds = { ...parameters, ...batchTensors(batch), ...(chosen && chosenTensors(chosen, batch.targetsPerRow)) }
    const outputs = await runStep(this.#engine, feeds, this.#places)
    const loss = lossOf(outputs)
    return { positions, loss, ...this.#optimizer.step(loss, gradientsOf(outputs)) }
  }

  /** A copy of everything a later process needs to continue exactly here, with the draft's configuration. */
  get state(): OptimizerState {
    return this.#optimizer.states[0]!
  }

  load(state: OptimizerState): void {
    this.#optimizer.load([state])
  }
}

/** What a graph with selected rows reads in place of the whole batch's targets. */
function chosenTensors({ selected, ids, probs, weights }: ChosenRows, k: number): Record<string, EngineTensor> {
  const rows = selected.length
  return {
    selected: { type: 'int64', dims: [rows], data: selected },
    target_ids: { type: 'int64', dims: [rows, k], data: ids },
    target_probs: { type: 'float32', dims: [rows, k], data: probs },
    row_weights: { type: 'float32', dims: [rows], data: weights },
  }
}
