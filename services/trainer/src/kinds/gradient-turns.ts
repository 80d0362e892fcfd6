import type { Tensor } from '@plateau/model-files'
import type { DraftStepReport, Piece } from '@plateau/training'
import type { Logger } from '@plateau/telemetry'
import type { TrainerMetrics } from '../metrics.js'
import type { PolicySink } from '../policy/policy-parts.js'
import type { AcceptedRecord } from '../training-record.js'
import type { StepOutcome } from './draft-kind.js'
import { digestsOf, LearnedTenants } from './learned-from.js'
import { Replay, type ReplayedPlace } from './replay.js'
import { armNamed } from './rule-arms.js'
import { RuleTrials, type RuleTrialsState } from './rule-trials.js'
import type { Judge, Parameters } from './rule-turn.js'
import { parametersOf, parameterTensors } from './state-tensors.js'
import { trialRules } from './trial-rules.js'

export interface GradientTurnsOptions {
  /** Most of the time that steps may take. */
  readonly gradientShare: number
  readonly replayPositions: number
  /** Strategies whose keep rules are tried out; none: whatever was decided to be kept is trained on. */
  readonly trialStrategies: readonly string[]
  /** The share that rules under trial keep. */
  readonly trialKeep: number
  /** Of a step: so many sequences of so many positions. */
  readonly sequences: number
  readonly positions: number
}

export interface GradientTurnsParts {
  /** Undefined: nothing is tried out. */
  readonly policy: Pick<PolicySink, 'gradients'> | undefined
  readonly logger: Logger
  readonly metrics: TrainerMetrics
  readonly clock: () => number
}

export interface GradientTurnsState {
  readonly facts: {
    /** Positions used at least once, over the lineage's life. */
    readonly freshPositions: number
    /** Whose windows the weights have learned from, by digest. */
    readonly tenantDigests?: readonly string[]
    /** The same by name, in states of before. */
    readonly tenants?: readonly string[]
    readonly trials: RuleTrialsState['facts'] | undefined
  }
  readonly tensors: ReadonlyMap<string, Tensor>
}

/** What takes the steps. */
export interface Stepping {
  /** Applied so far. */
  readonly steps: number
  /** What they train, by name: a copy. */
  readonly parameters: Parameters
  step(pieces: readonly Piece[]): Promise<DraftStepReport>
}

/** Before as many steps a model is no candidate; after as many more it is compared again. */
export const STEPS_PER_EVALUATION = 25

/** What a turn began with, in a snapshot. */
const TURN = 'turn'
/** Before as many steps no rule is tried: how much those gain depends on their place in time more than on anything else. */
const STEPS_BEFORE_TRIALS = 4 * STEPS_PER_EVALUATION

/**
 * When gradients are taken and on what: kept windows, in a share of the time, as long as there is something to learn from.
 * Where rules are under trial each turn takes the windows that one of them would have kept.
 */
export class GradientTurns {
  readonly #options: GradientTurnsOptions
  readonly #parts: GradientTurnsParts
  readonly #replay: Replay
  #isExhausted = false
  #nextStepMs = 0
  #freshPositions: number
  #stepsSinceEvaluation = 0
  readonly #tenants: LearnedTenants
  readonly #trials: RuleTrials | undefined

  /** `begunOn`: whose windows are in what the weights begin on, where there is no state. */
  constructor(
    options: GradientTurnsOptions,
    parts: GradientTurnsParts,
    saved: GradientTurnsState | undefined,
    begunOn: readonly string[],
  ) {
    const { trialStrategies, trialKeep, sequences: pieces } = options
    this.#options = options
    this.#parts = parts
    this.#replay = new Replay({ replayPositions: options.replayPositions, piecePositions: options.positions })
    this.#freshPositions = saved?.facts.freshPositions ?? 0
    this.#tenants = new LearnedTenants(saved === undefined ? begunOn : savedTenants(saved))
    const { policy, metrics } = parts
    const rules = trialRules(trialStrategies, trialKeep)
    if (policy === undefined || rules.length === 0) return
    const before = saved && parametersOf(TURN, saved.tensors)
    const trials = saved?.facts.trials && { facts: saved.facts.trials, before }
    this.#trials = new RuleTrials({ rules, steps: STEPS_PER_EVALUATION, pieces }, { policy, metrics }, trials)
  }

  /** Takes a window if any rule has kept it. */
  offer(window: AcceptedRecord): void {
    if (!this.#replay.push(window)) return
    if (window.keep && window.arm === 'selected') this.#trials?.rulesBy(armNamed(window.policy))
    this.#isExhausted = false
  }

  /** Takes back a window of an earlier life of this process. `uses`: of its pieces, then. */
  restore(window: AcceptedRecord, uses: readonly number[]): void {
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

  async take(stage: Stepping, judge: Judge): Promise<StepOutcome> {
    const { clock } = this.#parts
    const startedMs = clock()
    const drawn = this.#replay.draw(this.#options.sequences, stage.steps, this.#arm(stage))
    if (drawn.pieces.length === 0) {
      this.#isExhausted = true
      return { isTaken: false, isForContest: false }
    }
    for (const tenant of drawn.tenants) this.#tenants.add(tenant)
    const report = await stage.step(drawn.pieces)
    this.#freshPositions += drawn.freshPositions
    this.#show(report, clock() - startedMs, drawn.replayedPositions)
    await this.#tried(report, drawn.tenants, stage, judge)
    // Judging is part of what steps cost.
    const tookMs = clock() - startedMs
    this.#nextStepMs = clock() + tookMs * (1 / this.#options.gradientShare - 1)
    return { isTaken: true, isForContest: ++this.#stepsSinceEvaluation >= STEPS_PER_EVALUATION }
  }

  /** True when the weights have learned from the tenant: they must begin again. */
  forget(tenant: string, isForgotten: (window: AcceptedRecord) => boolean): boolean {
    this.#replay.drop(isForgotten)
    this.#trials?.forget(tenant)
    return this.#tenants.has(tenant)
  }

  /** The weights have begun again, on what was learned from these tenants. */
  restarted(begunOn: readonly string[]): void {
    this.#tenants.beginAgain(begunOn)
    this.#trials?.beginAgain()
    this.#isExhausted = false
  }

  /** The closed form has added this to the weights; undefined: they are others now. */
  moved(changes: Parameters | undefined): void {
    if (changes === undefined) this.#trials?.beginAgain()
    else this.#trials?.moved(changes)
  }

  /** The next contest is so many steps from here. */
  compared(): void {
    this.#stepsSinceEvaluation = 0
  }

  /** Whose windows the weights have learned from, as manifests say it. */
  get tenants(): readonly string[] {
    return this.#tenants.digests
  }

  /** Positions used at least once, over the lineage's life. */
  get freshPositions(): number {
    return this.#freshPositions
  }

  /** Live arrays. */
  get state(): GradientTurnsState {
    const { facts: trials, before } = this.#trials?.state ?? {}
    return {
      facts: { freshPositions: this.#freshPositions, tenantDigests: this.#tenants.digests, trials },
      tensors: new Map(before && parameterTensors(TURN, before)),
    }
  }

  get places(): ReplayedPlace[] {
    return this.#replay.places
  }

  /** Whose windows the next step takes; undefined: what was decided to be kept. */
  #arm(stage: Stepping): string | undefined {
    if (this.#trials === undefined || stage.steps < STEPS_BEFORE_TRIALS) return undefined
    return this.#trials.next(this.#replay.usesLeft(this.#trials.arms), () => stage.parameters)
  }

  async #tried(
    { applied, restored, positions }: DraftStepReport,
    tenants: Iterable<string>,
    stage: Stepping,
    judge: Judge,
  ): Promise<void> {
    if (restored) this.#trials?.beginAgain()
    await this.#trials?.stepped({ positions: applied ? positions : 0, tenants }, () => stage.parameters, judge)
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

function savedTenants({ facts: { tenantDigests, tenants } }: GradientTurnsState): readonly string[] {
  return tenantDigests ?? digestsOf(tenants ?? [])
}
