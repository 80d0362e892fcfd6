import {
  featureHeadShapes,
  trainableFeatureHeadParameters,
  type FeatureHead,
  type FeatureHeadConfig,
} from '@plateau/causal-lm'
import type { DraftRows, DraftTarget } from '@plateau/inference'
import type { ComparedWindows } from '../../held-back.js'
import type { AcceptedRecord } from '../../training-record.js'
import type { StepOutcome } from '../draft-kind.js'
import {
  GradientTurns,
  STEPS_PER_EVALUATION,
  type GradientTurnsParts,
  type GradientTurnsState,
} from '../gradient-turns.js'
import type { LiveVocabularyOptions } from '../live-vocabulary.js'
import { optimizerBytes, positionBytes, type MemoryBounds } from '../memory.js'
import type { ReplayedPlace } from '../replay.js'
import type { Parameters } from '../rule-turn.js'
import {
  GRADIENT_SHAPE,
  GradientStage,
  layeredConfig,
  type GradientOptions,
  type GradientState,
} from './gradient-stage.js'

export interface GradientsOptions extends GradientOptions, Pick<LiveVocabularyOptions, 'draftVocabulary'> {
  readonly gradients: boolean
  readonly gradientShare: number
  readonly replayPositions: number
  readonly trialStrategies: readonly string[]
  readonly trialKeep: number
}

export interface GradientsParts extends GradientTurnsParts {
  readonly target: DraftTarget
  /** What the lineage began with, where that was trained before, and whose windows are in it. */
  readonly warm: { readonly head: FeatureHead; readonly tenants: readonly string[] } | undefined
  /** Alpha of every row of the windows. */
  readonly alpha: (head: FeatureHead, windows: readonly DraftRows[]) => Promise<ArrayLike<number>>
}

const MIN_REPLAY_POSITIONS = 1024
/** How far below the closed form they may fall, in alpha. */
const ASTRAY = 0.02

/**
 * The stage on top of the closed form: it begins when there are a solution and enough kept windows.
 *
 * States: off (for good), gathering kept windows, stepping.
 */
export class Gradients {
  readonly #options: GradientsOptions
  readonly #parts: GradientsParts
  readonly #turns: GradientTurns
  #stage: GradientStage | undefined

  constructor(options: GradientsOptions, parts: GradientsParts, saved: GradientTurnsState | undefined) {
    this.#options = options
    this.#parts = parts
    const policy = options.gradients ? parts.policy : undefined
    this.#turns = new GradientTurns({ ...options, ...GRADIENT_SHAPE }, { ...parts, policy }, saved, [])
  }

  /** Continues from saved weights on top of the solution that they were trained on. */
  resume(solution: FeatureHead, saved: GradientState): void {
    if (!this.#options.gradients) return
    this.#stage = this.#open(solution)
    this.#stage.load(saved)
  }

  /** Takes a window if any rule has kept it. */
  offer(window: AcceptedRecord): void {
    if (this.#options.gradients) this.#turns.offer(window)
  }

  /** Takes back a window of an earlier life of this process. `uses`: of its pieces, then. */
  restore(window: AcceptedRecord, uses: readonly number[]): void {
    if (this.#options.gradients) this.#turns.restore(window, uses)
  }

  /** The closed form has a new solution. */
  async rebase(solution: FeatureHead): Promise<void> {
    if (this.#stage?.fits(solution)) return this.#turns.moved(this.#stage.rebase(solution))
    const { gradients, replayPositions, draftVocabulary } = this.#options
    // They begin on the vocabulary that they will stay with.
    const isFull = solution.config.draftVocabSize === undefined
    if (isFull && draftVocabulary > 0 && draftVocabulary < solution.config.vocabSize) return
    if (this.#stage !== undefined) {
      await this.#stage.release()
      return this.#begin(solution)
    }
    const isEnough = this.#turns.keptPositions >= Math.min(MIN_REPLAY_POSITIONS, replayPositions / 2)
    if (gradients && isEnough) this.#begin(solution)
  }

  /** Led astray, mostly because the traffic has shifted, they begin again from the closed form. */
  judged(alpha: number, closedFormAlpha: number, solution: FeatureHead): void {
    if (this.#stage === undefined || alpha > closedFormAlpha - ASTRAY) return
    const facts = { steps: this.#stage.steps, alpha, closedFormAlpha }
    this.#parts.logger.warn('gradients fell behind the closed form, beginning again from it', facts)
    this.#stage.restart(solution)
    this.#turns.restarted([])
  }

  /** True when the weights had learned from the tenant; they begin again when `restart` says on what. */
  forget(tenant: string, isForgotten: (window: AcceptedRecord) => boolean): boolean {
    return this.#turns.forget(tenant, isForgotten)
  }

  async restart(solution: FeatureHead): Promise<void> {
    await this.#stage?.release()
    this.#stage = undefined
    this.#turns.restarted([])
    await this.rebase(solution)
  }

  /** Infinite when there is nothing to do. */
  get nextStepMs(): number {
    return this.#stage === undefined ? Infinity : this.#turns.nextStepMs
  }

  step({ unseen: windows }: ComparedWindows): Promise<StepOutcome> {
    const stage = this.#stage!
    const alpha = (parameters: Parameters) => this.#parts.alpha(stage.headOf(parameters), windows)
    return this.#turns.take(stage, { windows, alpha })
  }

  /** To be compared now; undefined while it is too young. */
  candidate(): FeatureHead | undefined {
    this.#turns.compared()
    return this.#stage === undefined || this.#stage.steps < STEPS_PER_EVALUATION ? undefined : this.#stage.head
  }

  /** Positions used at least once, over the lineage's life. */
  get freshPositions(): number {
    return this.#turns.freshPositions
  }

  /** Whose windows the weights have learned from, as manifests say it. */
  get tenants(): readonly string[] {
    return this.#turns.tenants
  }

  get turnsState(): GradientTurnsState {
    return this.#turns.state
  }

  get places(): ReplayedPlace[] {
    return this.#turns.places
  }

  /** Of a stage on this solution, whether it has begun or not. */
  memoryOn(solution: FeatureHeadConfig): Pick<MemoryBounds, 'replay' | 'optimizer'> {
    if (!this.#options.gradients) return { replay: 0, optimizer: 0 }
    const config = layeredConfig(solution)
    const shapes = featureHeadShapes(config)
    return {
      replay: this.#turns.mostPositions * positionBytes(config.hiddenSize),
      optimizer: optimizerBytes(trainableFeatureHeadParameters(config).map((name) => shapes.get(name)!)),
    }
  }

  get state(): GradientState | undefined {
    return this.#stage?.state
  }

  async release(): Promise<void> {
    await this.#stage?.release()
  }

  #begin(solution: FeatureHead): void {
    this.#stage = this.#open(solution)
    this.#turns.restarted(this.#parts.warm?.tenants ?? [])
  }

  #open(solution: FeatureHead): GradientStage {
    const { target, warm } = this.#parts
    return new GradientStage(solution, target, this.#options, warm?.head)
  }
}
