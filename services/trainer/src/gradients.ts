import type { FeatureHead } from '@plateau/causal-lm'
import type { DraftRows, DraftTarget } from '@plateau/inference'
import type { Logger } from '@plateau/telemetry'
import { GradientStage, type GradientOptions, type ReplayedPlace } from './gradient-stage.js'
import type { TrainerMetrics } from './metrics.js'
import { positionsOf } from './recent-windows.js'
import type { Snapshot } from './snapshot.js'
import type { RecordPlace } from './training-record.js'

export interface GradientsOptions extends Omit<GradientOptions, 'random'> {
  readonly gradients: boolean
  readonly gradientShare: number
}

export interface GradientsParts {
  readonly target: DraftTarget
  readonly logger: Logger
  readonly metrics: TrainerMetrics
  readonly clock: () => number
  readonly random: () => number
}

const MIN_REPLAY_POSITIONS = 1024
/** Before as many it is no candidate. */
const STEPS_PER_EVALUATION = 25

/**
 * When gradients are taken: from enough kept windows and a solution on, in their share of the time, as long as there is
 * something left to learn from.
 *
 * States: off (for good), gathering kept windows, stepping, exhausted until a window is kept.
 */
export class Gradients {
  readonly #options: GradientsOptions
  readonly #parts: GradientsParts
  #stage: GradientStage | undefined
  /** Kept windows that wait for the stage to begin. */
  #gathered: { readonly place: RecordPlace; readonly rows: DraftRows; readonly uses: number }[] = []
  #isExhausted = false
  #nextStepMs = 0
  #freshPositions: number
  #stepsSinceEvaluation = 0

  constructor(options: GradientsOptions, parts: GradientsParts, freshPositions: number) {
    this.#options = options
    this.#parts = parts
    this.#freshPositions = freshPositions
  }

  /** Continues from saved weights on top of the solution that they were trained on. */
  async resume(solution: FeatureHead, saved: NonNullable<Snapshot['gradients']>): Promise<void> {
    if (!this.#options.gradients) return
    this.#stage = await this.#open(solution)
    this.#stage.load(saved.training, saved.projection)
  }

  /** A kept window. `uses` > 0: it was fresh in an earlier life of this process. */
  keep(place: RecordPlace, rows: DraftRows, uses = 0): void {
    if (!this.#options.gradients) return
    this.#isExhausted = false
    if (this.#stage !== undefined) return this.#stage.push(place, rows, uses)
    this.#gathered.push({ place, rows, uses })
    while (this.#gatheredPositions > this.#options.replayPositions) this.#gathered.shift()
  }

  /** The closed form has a new solution. */
  async rebase(solution: FeatureHead): Promise<void> {
    if (this.#stage !== undefined) return this.#stage.rebase(solution)
    const { gradients, replayPositions } = this.#options
    if (!gradients || this.#gatheredPositions < Math.min(MIN_REPLAY_POSITIONS, replayPositions / 2)) return
    this.#stage = await this.#open(solution)
    for (const { place, rows, uses } of this.#gathered) this.#stage.push(place, rows, uses)
    this.#gathered = []
  }

  /** Gradients led astray: begin again from the closed form. */
  restart(solution: FeatureHead, facts: { readonly alpha: number; readonly closedFormAlpha: number }): void {
    const stage = this.#stage!
    this.#parts.logger.warn('gradients fell behind the closed form, beginning again from it', {
      steps: stage.steps,
      ...facts,
    })
    stage.restart(solution)
  }

  /** Infinite when there is nothing to do. */
  get nextStepMs(): number {
    return this.#stage === undefined || this.#isExhausted ? Infinity : this.#nextStepMs
  }

  /** False when there was nothing left to learn from. */
  async step(): Promise<boolean> {
    const { metrics, clock, logger } = this.#parts
    const startedMs = clock()
    const report = await this.#stage!.step()
    if (report === undefined) {
      // Everything in the window was used as often as is good for it.
      this.#isExhausted = true
      return false
    }
    const tookMs = clock() - startedMs
    this.#nextStepMs = clock() + tookMs * (1 / this.#options.gradientShare - 1)
    this.#freshPositions += report.freshPositions
    this.#stepsSinceEvaluation++
    metrics.stepSeconds.record({}, tookMs / 1000)
    metrics.steps.add({ result: report.restored ? 'restored' : report.applied ? 'applied' : 'skipped' })
    metrics.replayedPositions.add({}, report.replayedPositions)
    metrics.loss.set({}, report.loss)
    metrics.gradientNorm.set({}, report.gradientNorm)
    if (!report.applied) {
      logger.warn('gradient step skipped: not finite', { loss: report.loss, restored: report.restored })
    }
    return true
  }

  get evaluationIsDue(): boolean {
    return this.#stepsSinceEvaluation >= STEPS_PER_EVALUATION
  }

  /** To be evaluated now, and the next time so many steps from here; undefined while it is too young. */
  candidate(): FeatureHead | undefined {
    this.#stepsSinceEvaluation = 0
    return this.#stage === undefined || this.#stage.steps < STEPS_PER_EVALUATION ? undefined : this.#stage.head
  }

  /** Positions used at least once, over the lineage's life. */
  get freshPositions(): number {
    return this.#freshPositions
  }

  get places(): ReplayedPlace[] {
    return this.#stage?.places ?? this.#gathered.map(({ place, uses }) => ({ ...place, uses }))
  }

  get state(): Snapshot['gradients'] {
    return this.#stage && { training: this.#stage.state, projection: this.#stage.projection }
  }

  async release(): Promise<void> {
    await this.#stage?.release()
  }

  get #gatheredPositions(): number {
    return positionsOf(this.#gathered.map(({ rows }) => rows))
  }

  #open(solution: FeatureHead): Promise<GradientStage> {
    const { loss, learningRate, replayPositions, threads } = this.#options
    const { target, random } = this.#parts
    return GradientStage.open(solution, target, { loss, learningRate, replayPositions, threads, random })
  }
}
