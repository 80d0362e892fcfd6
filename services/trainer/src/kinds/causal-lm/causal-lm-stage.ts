import { buildTrainGraph, type CausalDraft, type DraftLoss } from '@plateau/causal-lm'
import { loadSession, type ExecutionProvider, type InferenceSession } from '@plateau/inference'
import { CausalDraftTraining, type DraftStepReport, type OptimizerState, type Piece } from '@plateau/training'

export interface CausalLmStageOptions {
  readonly loss: DraftLoss
  readonly learningRate: number
  readonly threads: number
  readonly executionProvider: ExecutionProvider
}

export const CAUSAL_LM_SHAPE = { sequences: 8, positions: 64, targetsPerRow: 32 }

/** Gradient steps of a causal draft. */
export class CausalLmStage {
  readonly #session: InferenceSession
  readonly #training: CausalDraftTraining

  private constructor(session: InferenceSession, training: CausalDraftTraining) {
    this.#session = session
    this.#training = training
  }

  static async open(draft: CausalDraft, options: CausalLmStageOptions): Promise<CausalLmStage> {
    const { model } = draft.config
    const targetsPerRow = Math.min(CAUSAL_LM_SHAPE.targetsPerRow, model.vocabSize - 1)
    const shape = { ...CAUSAL_LM_SHAPE, targetsPerRow }
    const graph = buildTrainGraph(model, shape, { loss: options.loss }).model
    const session = await loadSession(graph, {
      threads: options.threads,
      provider: options.executionProvider,
      name: 'draft training step',
    })
    const { learningRate } = options
    return new CausalLmStage(session, new CausalDraftTraining(draft, session, shape, { learningRate }))
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
    return this.#session.release()
  }
}
