import type { DraftLoss } from '@plateau/causal-lm'
import type { DraftRows, DraftScores } from '@plateau/inference'
import type { DraftStepReport, Piece } from '@plateau/training'

/** What the benchmark needs of a kind of draft that learns step by step. `Model`: one draft, never changed. */
export interface SteppedDraft<Model> {
  /** Of a step: pieces, and rows of the longest. */
  readonly shape: { readonly sequences: number; readonly positions: number }
  /** A draft before its first step. What is random in it follows from the seed. */
  start(seed: number): Model
  open(start: Model, options: StepOptions): Promise<Trainer<Model>>
  /** `scale`: the factor of the logits, in place of one that the draft has of its own. */
  score(model: Model, windows: readonly DraftRows[], scale: number): Promise<DraftScores>
  release(): Promise<void>
}

export interface StepOptions {
  readonly loss: DraftLoss
  readonly learningRate: number
  readonly warmUpSteps: number
  /** Share of the learning rate after so many steps. */
  readonly decay: (steps: number) => number
  /** Rows of a step that meet the output head, where not all do. */
  readonly selectedRows?: number | undefined
}

export interface Trainer<Model> {
  /** A copy. */
  readonly model: Model
  step(pieces: readonly Piece[]): Promise<DraftStepReport>
}
