import type { DraftLoss } from '@plateau/causal-lm'
import type { DraftRows, DraftScores, WindowExpectations } from '@plateau/inference'
import type { Draft as LoadedDraft } from '@plateau/speculation'
import type { DraftStepReport, Piece } from '@plateau/training'
import type { Tensor } from '@plateau/model-files'
import type { Progress } from './progress.js'
import type { TrainingData } from './training-data.js'

export interface DraftFile {
  readonly path: string
  readonly bytes: Uint8Array
}

/** What offline training needs of a kind of draft. `Model`: one draft in memory, never changed. */
export interface DraftPlan<Model> {
  /** As checkpoints name it. */
  readonly kind: string
  readonly expected: WindowExpectations
  /** What `start` makes. */
  readonly startStage: 'closed form' | 'untrained'
  /** A draft before any gradient: with a closed form, its solution. */
  start(data: TrainingData, vocabulary: Int32Array | undefined, progress: Progress): Promise<Model>
  /** Steps on top of it. */
  openGradients(start: Model, options: GradientOptions): Promise<GradientRun<Model>>
  score(model: Model, windows: readonly DraftRows[], logitScale?: number): Promise<DraftScores>
  withLogitScale(model: Model, scale: number): Model
  /** As serving would load it. */
  load(model: Model, threads: number): Promise<LoadedDraft>
  /** The files of a checkpoint, numbers as f16. */
  encode(model: Model): readonly DraftFile[]
  /** Further files, for a trainer that goes on from the draft. */
  companions(model: Model, data: TrainingData, progress: Progress): Promise<readonly DraftFile[]>
  decode(files: ReadonlyMap<string, Uint8Array>, where: string): Model
  release(): Promise<void>
}

export interface GradientOptions {
  readonly loss: DraftLoss
  readonly learningRate: number
  /** Share of the learning rate after so many steps. */
  readonly decay: (steps: number) => number
  readonly threads: number
}

export interface GradientRun<Model> {
  readonly shape: { readonly sequences: number; readonly positions: number }
  /** A copy. */
  readonly model: Model
  readonly steps: number
  step(pieces: readonly Piece[]): Promise<DraftStepReport>
  /** Everything that the next step depends on. */
  state(): ReadonlyMap<string, Tensor>
  load(state: ReadonlyMap<string, Tensor>): void
  release(): Promise<void>
}
