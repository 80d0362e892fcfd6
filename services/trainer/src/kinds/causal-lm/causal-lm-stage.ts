import {
  buildTrainGraph,
  type CausalDraft,
  type CausalLmConfig,
  type DraftLoss,
  type TrainGraphShape,
} from '@plateau/causal-lm'
import { loadSession, type ExecutionProvider, type InferenceSession } from '@plateau/inference'
import { CausalDraftTraining, type DraftStepReport, type OptimizerState, type Piece } from '@plateau/training'
import { StepGraphs } from '../step-graphs.js'

export interface CausalLmStageOptions {
  readonly loss: DraftLoss
  readonly learningRate: number
  readonly threads: number
  readonly executionProvider: ExecutionProvider
}

export const CAUSAL_LM_SHAPE = { sequences: 8, positions: 64, targetsPerRow: 32 }

/** Gradient steps of a causal draft. Rows that count nothing in a step never meet the output head. */
export class CausalLmStage {
  readonly #graphs: StepGraphs
  readonly #training: CausalDraftTraining

  constructor(draft: CausalDraft, options: CausalLmStageOptions) {
    const { model } = draft.config
    const { sequences, positions } = CAUSAL_LM_SHAPE
    const targetsPerRow = Math.min(CAUSAL_LM_SHAPE.targetsPerRow, model.vocabSize - 1)
    const shape = { sequences, positions, targetsPerRow, selectedRows: sequences * positions }
    this.#graphs = new StepGraphs(shape.selectedRows, (selectedRows) =>
      loadStep(model, { ...shape, selectedRows }, options),
    )
    const { learningRate } = options
    this.#training = new CausalDraftTraining(draft, this.#graphs, shape, { learningRate })
  }

  /** A copy. */
  get draft(): CausalDraft {
    return this.#training.draft
  }

  get steps(): number {
    return this.#training.steps
  }

  step(pieces: readonly Piece[]): Promise<DraftStepReport> {
    return this.#training.step(pieces)
  }

  /** What gradients train, by name: a copy. */
  get parameters(): ReadonlyMap<string, Float32Array> {
    return new Map([...this.#training.draft.parameters].map(([name, { data }]) => [name, data]))
  }

  /** The draft as it is, with other numbers. */
  draftOf(parameters: ReadonlyMap<string, Float32Array>): CausalDraft {
    const { config, parameters: present } = this.#training.draft
    const changed = [...present].map(
      ([name, { shape, data }]) => [name, { shape, data: parameters.get(name) ?? data }] as const,
    )
    return { config, parameters: new Map(changed) }
  }

  /** Begins anew from another draft of the same shapes. */
  restart(draft: CausalDraft): void {
    this.#training.restart(draft)
  }

  get state(): OptimizerState {
    return this.#training.state
  }

  load(state: OptimizerState): void {
    this.#training.load(state)
  }

  release(): Promise<void> {
    return this.#graphs.release()
  }
}

function loadStep(
  model: CausalLmConfig,
  shape: TrainGraphShape,
  { loss, threads, executionProvider: provider }: CausalLmStageOptions,
): Promise<InferenceSession> {
  return loadSession(buildTrainGraph(model, shape, { loss }).model, { threads, provider, name: 'draft training step' })
}
