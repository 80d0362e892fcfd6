import type { DraftStepReport, Piece } from '@plateau/training'
import type { Logger } from '@plateau/telemetry'
import type { TrainerMetrics } from '../metrics.js'
import type { AcceptedRecord } from '../training-record.js'
import type { StepOutcome } from './draft-kind.js'
import { Replay, type ReplayedPlace } from './replay.js'

export interface GradientTurnsOptions {
  /** Most of the time that steps may take. */
  readonly gradientShare: number
  readonly replayPositions: number
  /** Of a step: so many sequences of so many positions. */
  readonly sequences: number
  readonly positions: number
}

export interface GradientTurnsParts {
  readonly logger: Logger
  readonly metrics: TrainerMetrics
  readonly clock: () => number
}

export interface GradientTurnsState {
  /** Positions used at least once, over the lineage's life. */
  readonly freshPositions: number
  /** Whose windows the weights have learned from. */
  readonly tenants: readonly string[]
}

/** What takes the steps. */
export interface Stepping {
  /** Applied so far. */
  readonly steps: number
  step(pieces: readonly Piece[]): Promise<DraftStepReport>
}

/** Before as many steps a model is no candidate; after as many more it is compared again. */
export const STEPS_PER_EVALUATION = 25

/** When gradients are taken and on what: kept windows, in a share of the time, as long as there is something to learn from. */
export class GradientTurns {
  readonly #options: GradientTurnsOptions
  readonly #parts: GradientTurnsParts
  readonly #replay: Replay
  #isExhausted = false
  #nextStepMs = 0
  #freshPositions: number
  #stepsSinceEvaluation = 0
  /** Whose windows the weights have learned from. */
  readonly #tenants: Set<string>

  constructor(options: GradientTurnsOptions, parts: GradientTurnsParts, saved: GradientTurnsState | undefined) {
    this.#options = options
    this.#parts = parts
    this.#replay = new Replay({ replayPositions: options.replayPositions, piecePositions: options.positions })
    this.#freshPositions = saved?.freshPositions ?? 0
    this.#tenants = new Set(saved?.tenants)
  }

  /** A kept window. `uses`: of its pieces, in an earlier life of this process. */
  keep(window: AcceptedRecord, uses: readonly number[] = []): void {
    this.#replay.push(window, uses)
    this.#isExhausted = false
  }

  /** In the replay. */
  get keptPositions(): number {
    return this.#replay.positions
  }

  /** The replay holds no more. */
  get mostPositions(): number {
    return this.#options.replayPositions
  }

  /** Infinite when there is nothing to do. */
  get nextStepMs(): number {
    return this.#isExhausted ? Infinity : this.#nextStepMs
  }

  async take(stage: Stepping): Promise<StepOutcome> {
    const { clock } = this.#parts
    const startedMs = clock()
    const drawn = this.#replay.draw(this.#options.sequences, stage.steps)
    if (drawn.pieces.length === 0) {
      this.#isExhausted = true
      return { isTaken: false, isForContest: false }
    }
    for (const tenant of drawn.tenants) this.#tenants.add(tenant)
    const report = await stage.step(drawn.pieces)
    const tookMs = clock() - startedMs
    this.#nextStepMs = clock() + tookMs * (1 / this.#options.gradientShare - 1)
    this.#freshPositions += drawn.freshPositions
    this.#show(report, tookMs, drawn.replayedPositions)
    return { isTaken: true, isForContest: ++this.#stepsSinceEvaluation >= STEPS_PER_EVALUATION }
  }

  /** True when the weights have learned from the tenant: they must begin again. */
  forget(tenant: string, isForgotten: (window: AcceptedRecord) => boolean): boolean {
    this.#replay.drop(isForgotten)
    return this.#tenants.has(tenant)
  }

  /** The weights have begun again. */
  restarted(): void {
    this.#tenants.clear()
    this.#isExhausted = false
  }

  /** The next contest is so many steps from here. */
  compared(): void {
    this.#stepsSinceEvaluation = 0
  }

  /** Positions used at least once, over the lineage's life. */
  get freshPositions(): number {
    return this.#freshPositions
  }

  get state(): GradientTurnsState {
    return { freshPositions: this.#freshPositions, tenants: [...this.#tenants] }
  }

  get places(): ReplayedPlace[] {
    return this.#replay.places
  }

  #show({ applied, restored, loss, gradientNorm, positions }: DraftStepReport, tookMs: number, replayed: number): void {
    const { metrics, logger } = this.#parts
    metrics.stepSeconds.record({}, tookMs / 1000)
    metrics.steps.add({ result: restored ? 'restored' : applied ? 'applied' : 'skipped' })
    metrics.stepPositions.add({}, positions)
    metrics.replayedPositions.add({}, replayed)
    metrics.loss.set({}, loss)
    metrics.gradientNorm.set({}, gradientNorm)
    if (!applied) logger.warn('gradient step skipped: not finite', { loss, restored })
  }
}
