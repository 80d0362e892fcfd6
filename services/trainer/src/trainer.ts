import {
  defaultLogitScale,
  featureHeadInputs,
  withoutLayer,
  withParameters,
  type FeatureHead,
} from '@plateau/causal-lm'
import type { CheckpointStore } from '@plateau/checkpoints'
import { topics } from '@plateau/contracts'
import type { Batch, EventLog, Producer } from '@plateau/event-log'
import { prepareDraftTarget, type DraftRows, type DraftTarget, type WindowExpectations } from '@plateau/inference'
import type { DraftTargetModel } from '@plateau/model-files'
import type { Logger } from '@plateau/telemetry'
import { setImmediate as turn } from 'node:timers/promises'
import { BatchFeed, readTrainingWindows } from './batch-feed.js'
import { ClosedForm } from './closed-form.js'
import { bury, TRAINER_GROUP } from './dead-letters.js'
import { Contest, type ContestOptions, type Winner } from './contest.js'
import type { DraftLine } from './draft-line.js'
import { GradientStage } from './gradient-stage.js'
import { HeadScorers } from './head-scorers.js'
import { HeldBack, type HeldBackOptions } from './held-back.js'
import { Intake } from './intake.js'
import type { TrainerMetrics } from './metrics.js'
import { positionsOf } from './recent-windows.js'
import { putBackWindows, readSnapshot } from './resume.js'
import { worksNow, RETRY_MS } from './retry-later.js'
import { encodeSnapshot, SNAPSHOT_NAME, type LineageCounts, type Snapshot } from './snapshot.js'
import type { RecordPlace } from './training-record.js'

const source = topics.trainingWindows.name

export interface TrainerOptions extends ContestOptions, HeldBackOptions {
  readonly lineage: string
  readonly ridgeLambda: number
  readonly halfLifePositions: number
  readonly gradients: boolean
  readonly gradientShare: number
  readonly loss: 'kl' | 'tv'
  readonly learningRate: number
  readonly replayPositions: number
  readonly snapshotMs: number
  readonly threads: number
  /** New positions after which the closed form is solved for the first time. Default 512. */
  readonly firstSolvePositions?: number
}

export interface TrainerParts {
  readonly log: EventLog
  readonly producer: Producer
  readonly store: CheckpointStore
  readonly line: DraftLine
  readonly model: DraftTargetModel
  readonly logger: Logger
  readonly metrics: TrainerMetrics
  /** Milliseconds since 1970. */
  readonly clock: () => number
  readonly random: () => number
  /** Told at every turn of the loop. */
  readonly beat?: () => void
}

const IDLE_WAIT_MS = 100
/** The closed form is solved again when this share of its positions is new, within these bounds. */
const SOLVE_SHARE = 0.12
const MOST_NEW_POSITIONS = 3072
/** Few new positions wait at most this long. */
const SOLVE_AFTER_MS = 5000
const LEAST_NEW_POSITIONS = 192
/** At most this share of the time goes into solving: behind a backlog, or on a busy machine, new windows come first. */
const MOST_SOLVE_SHARE = 0.3
const MIN_REPLAY_POSITIONS = 1024
const STEPS_PER_EVALUATION = 25
/**
 * Turns training windows into versions of a draft. One loop, in this order of urgency:
 *
 *   windows that have arrived -> solve the closed form when enough is new -> a gradient step in what time is left
 *
 * Exactly once: offsets, sums, weights and counts are saved together in one snapshot, atomically. After a kill the loop
 * continues from the snapshot's offsets: what came after it is read again and was in no saved state. What a producer
 * repeats is known by its ce_id.
 *
 * States: new, running, closed.
 */
export class Trainer {
  readonly #options: TrainerOptions
  readonly #parts: TrainerParts
  readonly #target: DraftTarget
  readonly #closedForm: ClosedForm
  readonly #scorers: HeadScorers
  readonly #contest: Contest
  readonly #intake: Intake
  readonly #heldBack: HeldBack
  readonly #stopping = new AbortController()
  /** The fixed random features, and the newest solution once there is one. */
  #solution: FeatureHead
  #isSolved = false
  #gradients: GradientStage | undefined
  /** Kept windows that wait for the gradient stage to begin. */
  #kept: { readonly place: RecordPlace; readonly rows: DraftRows; readonly uses: number }[] = []
  /** In the sums, over the lineage's life. */
  #closedFormPositions: number
  #gradientPositions: number
  #newPositions = 0
  #solvedAtMs = Number.NEGATIVE_INFINITY
  #solveTookMs = 0
  #nextStepMs = 0
  #stepsSinceEvaluation = 0
  #isExhausted = false
  #savedAtMs: number
  #triedToSaveMs = Number.NEGATIVE_INFINITY
  #nextAnnounceMs = 0
  #changed = false
  #running: Promise<void> | undefined

  private constructor(
    options: TrainerOptions,
    parts: TrainerParts,
    closedForm: ClosedForm,
    target: DraftTarget,
    saved: Snapshot | undefined,
  ) {
    const { line, clock } = parts
    this.#options = options
    this.#parts = parts
    this.#target = target
    this.#closedForm = closedForm
    this.#solution = withoutLayer(line.incumbent)
    this.#scorers = new HeadScorers(target, options.threads)
    this.#contest = new Contest(options, { ...parts, scorers: this.#scorers })
    this.#heldBack = new HeldBack(options)
    this.#intake = new Intake(
      {
        expected: this.#expected(),
        metrics: parts.metrics,
        use: (window) => this.#heldBack.push(window.purpose, window, clock()),
        bury: (poison) => bury(poison, parts, this.#stopping.signal),
      },
      saved,
    )
    this.#closedFormPositions = saved?.counts.closedFormPositions ?? 0
    this.#gradientPositions = saved?.counts.gradientPositions ?? 0
    this.#savedAtMs = clock()
    parts.metrics.snapshotAge.observe(() => [[{}, (clock() - this.#savedAtMs) / 1000]])
  }

  /** Continues from the saved state of the lineage, or begins. Throws TRAINER_STATE_MISMATCH, TRAINER_STATE_INVALID. */
  static async open(options: TrainerOptions, parts: TrainerParts): Promise<Trainer> {
    const { config } = parts.line.incumbent
    const target = prepareDraftTarget(parts.model.target, config)
    const saved = await readSnapshot(options.lineage, featureHeadInputs(config), parts)
    const { ridgeLambda: lambda, halfLifePositions, threads } = options
    const closedForm = await ClosedForm.open(
      parts.line.incumbent,
      target,
      { lambda, halfLifePositions, threads },
      saved?.closedForm,
    )
    const trainer = new Trainer(options, parts, closedForm, target, saved)
    if (saved !== undefined) await trainer.#resume(saved)
    trainer.#showCounts()
    return trainer
  }

  /** Trains until `close`. Rejects when it cannot go on; a restart continues from the last snapshot. */
  run(): Promise<void> {
    this.#running ??= this.#loop()
    return this.#running
  }

  /** Ends after the work in hand, with a last snapshot. Idempotent. */
  async close(): Promise<void> {
    this.#stopping.abort()
    if (this.#running === undefined) return this.#release()
    await this.#running.catch(() => {})
  }

  get counts(): Readonly<LineageCounts> {
    return {
      windows: this.#intake.windows,
      closedFormPositions: this.#closedFormPositions,
      gradientPositions: this.#gradientPositions,
    }
  }

  async #loop(): Promise<void> {
    const { line } = this.#parts
    const feed = new BatchFeed(readTrainingWindows(this.#parts.log, this.#intake.offsets))
    const onStop = (): void => void feed.close()
    this.#stopping.signal.addEventListener('abort', onStop)
    try {
      while (!this.#stopping.signal.aborted) {
        this.#parts.beat?.()
        const batch = await feed.take(this.#waitMs())
        if (this.#stopping.signal.aborted) break
        if (batch !== undefined) await this.#ingest(batch)
        await this.#admit()
        if (this.#solveIsDue()) await this.#solve()
        else if (batch === undefined && this.#stepIsDue()) await this.#step()
        if (this.#saveIsDue()) await this.#save()
        if (this.#parts.clock() >= this.#nextAnnounceMs) {
          await line.announce()
          this.#nextAnnounceMs = this.#parts.clock() + RETRY_MS
        }
        // Health and metrics are answered between two pieces of work, however busy the stream.
        await turn()
      }
      if (this.#changed) await this.#save()
      await line.announce()
    } catch (error) {
      // Told to stop while waiting to try again: the next process takes the same records.
      if (!(error instanceof Error && error.name === 'AbortError')) throw error
    } finally {
      this.#stopping.signal.removeEventListener('abort', onStop)
      await feed.close()
      await this.#release()
    }
  }

  #saveIsDue(): boolean {
    const { clock } = this.#parts
    const { snapshotMs } = this.#options
    return this.#changed && clock() - this.#savedAtMs >= snapshotMs && clock() - this.#triedToSaveMs >= snapshotMs
  }

  #waitMs(): number {
    if (this.#solveIsDue()) return 0
    if (!this.#canStep()) return IDLE_WAIT_MS
    return Math.min(IDLE_WAIT_MS, Math.max(0, this.#nextStepMs - this.#parts.clock()))
  }

  async #ingest(batch: Batch): Promise<void> {
    await this.#intake.take(batch)
    this.#changed = true
    this.#showCounts()
  }

  /** Windows that have been tested on long enough are trained on from now on. */
  async #admit(): Promise<void> {
    const admitted = this.#heldBack.admit(this.#closedFormPositions, this.#parts.clock())
    if (admitted.length === 0) return
    for (const { place, rows, keep } of admitted) {
      await this.#closedForm.add(rows)
      this.#newPositions += rows.length
      this.#closedFormPositions += rows.length
      if (keep) this.#learnLater(place, rows)
    }
    this.#changed = true
    this.#showCounts()
  }

  #learnLater(place: RecordPlace, rows: DraftRows, uses = 0): void {
    if (!this.#options.gradients) return
    this.#isExhausted = false
    if (this.#gradients !== undefined) return this.#gradients.push(place, rows, uses)
    this.#kept.push({ place, rows, uses })
    while (positionsOf(this.#kept.map((kept) => kept.rows)) > this.#options.replayPositions) this.#kept.shift()
  }

  #solveIsDue(): boolean {
    const { firstSolvePositions = 512 } = this.#options
    if (!this.#isSolved) return this.#newPositions >= firstSolvePositions
    const waitedMs = this.#parts.clock() - this.#solvedAtMs
    if (waitedMs < this.#solveTookMs * (1 / MOST_SOLVE_SHARE - 1)) return false
    const enough = Math.min(MOST_NEW_POSITIONS, Math.max(firstSolvePositions, SOLVE_SHARE * this.#closedFormPositions))
    if (this.#newPositions >= enough) return true
    return this.#newPositions >= LEAST_NEW_POSITIONS && waitedMs >= SOLVE_AFTER_MS
  }

  async #solve(): Promise<void> {
    const { metrics, clock, logger } = this.#parts
    const startedMs = clock()
    this.#newPositions = 0
    try {
      const projection = await this.#closedForm.solve()
      const solved = withParameters(this.#solution, { 'fc.weight': projection })
      this.#solution = await this.#scorers.calibrated(solved, this.#heldBack.calibration(clock()))
    } catch (error) {
      // Too few or damaged sums: the next windows may mend it, and the incumbent serves meanwhile.
      if (!(error instanceof RangeError)) throw error
      logger.warn('closed form not solved', { error })
      this.#solvedAtMs = clock()
      return
    }
    this.#isSolved = true
    if (this.#gradients === undefined) await this.#beginGradients()
    else this.#gradients.rebase(this.#solution)
    metrics.solves.add({})
    await this.#compete()
    this.#solvedAtMs = clock()
    this.#solveTookMs = this.#solvedAtMs - startedMs
    metrics.solveSeconds.record({}, this.#solveTookMs / 1000)
  }

  #canStep(): boolean {
    return this.#gradients !== undefined && !this.#isExhausted
  }

  #stepIsDue(): boolean {
    return this.#canStep() && this.#parts.clock() >= this.#nextStepMs
  }

  async #beginGradients(): Promise<void> {
    const { gradients, loss, learningRate, replayPositions, threads } = this.#options
    if (
      !gradients ||
      positionsOf(this.#kept.map(({ rows }) => rows)) < Math.min(MIN_REPLAY_POSITIONS, replayPositions / 2)
    )
      return
    const { random } = this.#parts
    const options = { loss, learningRate, replayPositions, threads, random }
    this.#gradients = await GradientStage.open(this.#solution, this.#target, options)
    for (const { place, rows, uses } of this.#kept) this.#gradients.push(place, rows, uses)
    this.#kept = []
  }

  async #step(): Promise<void> {
    const { metrics, clock, logger } = this.#parts
    const startedMs = clock()
    const report = await this.#gradients!.step()
    if (report === undefined) {
      // Everything in the window was used as often as is good for it.
      this.#isExhausted = true
      return
    }
    const tookMs = clock() - startedMs
    this.#nextStepMs = clock() + tookMs * (1 / this.#options.gradientShare - 1)
    this.#changed = true
    this.#gradientPositions += report.freshPositions
    metrics.stepSeconds.record({}, tookMs / 1000)
    metrics.steps.add({ result: report.restored ? 'restored' : report.applied ? 'applied' : 'skipped' })
    metrics.replayedPositions.add({}, report.replayedPositions)
    metrics.loss.set({}, report.loss)
    metrics.gradientNorm.set({}, report.gradientNorm)
    if (!report.applied) {
      logger.warn('gradient step skipped: not finite', { loss: report.loss, restored: report.restored })
    }
    this.#showCounts()
    if (++this.#stepsSinceEvaluation >= STEPS_PER_EVALUATION) await this.#compete()
  }

  /** What training has against what is live. */
  async #compete(): Promise<void> {
    this.#stepsSinceEvaluation = 0
    const isOldEnough = this.#gradients !== undefined && this.#gradients.steps >= STEPS_PER_EVALUATION
    const { astray, winner } = await this.#contest.judge(this.#heldBack.unseen(this.#parts.clock()), {
      closedForm: this.#solution,
      gradients: isOldEnough ? this.#gradients?.head : undefined,
    })
    if (astray !== undefined) {
      this.#parts.logger.warn('gradients fell behind the closed form, beginning again from it', {
        steps: this.#gradients!.steps,
        ...astray,
      })
      this.#gradients!.restart(this.#solution)
    }
    if (winner !== undefined) await this.#publish(winner)
  }

  async #publish({ name, head, evaluation }: Winner): Promise<void> {
    const { line, metrics, logger } = this.#parts
    const { offsets, policy } = this.#intake
    const facts = {
      evaluation,
      trainedThrough: offsets.map(({ partition, offset }) => ({ topic: source, partition, nextOffset: offset })),
      trainedPositions: this.#closedFormPositions,
      policy,
    }
    if (!(await worksNow(logger, 'version not written', () => line.publish(head, facts)))) return
    metrics.publishes.add({ origin: name })
    metrics.version.set({}, line.version)
    metrics.alpha.set({ draft: 'incumbent' }, evaluation.alpha)
    await this.#save()
  }

  async #save(): Promise<void> {
    const { store, log, model, clock } = this.#parts
    const { offsets, recentIds, policy } = this.#intake
    const gradients = this.#gradients
    const snapshot: Snapshot = {
      targetFingerprint: model.fingerprint,
      tokenizerHash: model.tokenizerHash,
      offsets,
      recentIds,
      counts: this.counts,
      policy,
      ...this.#heldBack.places,
      replay: gradients?.places ?? this.#kept.map(({ place, uses }) => ({ ...place, uses })),
      logitScale: this.#solution.parameters.get('logit_scale')?.data[0] ?? defaultLogitScale,
      closedForm: await this.#closedForm.state(),
      gradients: gradients && { training: gradients.state, projection: gradients.projection },
    }
    this.#triedToSaveMs = clock()
    const { lineage } = this.#options
    const isSaved = await worksNow(this.#parts.logger, 'state not saved', () =>
      store.putState(lineage, SNAPSHOT_NAME, encodeSnapshot(snapshot)),
    )
    if (!isSaved) return
    this.#changed = false
    this.#savedAtMs = clock()
    // Only to be seen from outside: we never start from these.
    await worksNow(this.#parts.logger, 'lag not reported', () => log.commit(TRAINER_GROUP, source, offsets))
  }

  /** Puts back what a snapshot refers to: windows by their place in the log, the solution by solving again. */
  async #resume(saved: Snapshot): Promise<void> {
    const { logger, random } = this.#parts
    const { loss, learningRate, replayPositions, threads } = this.#options
    if (saved.counts.closedFormPositions > 0) {
      const solution = withParameters(this.#solution, {
        'fc.weight': await this.#closedForm.solve(),
        logit_scale: Float32Array.of(saved.logitScale),
      })
      this.#solution = solution
      this.#isSolved = true
      if (saved.gradients !== undefined && this.#options.gradients) {
        const options = { loss, learningRate, replayPositions, threads, random }
        this.#gradients = await GradientStage.open(solution, this.#target, options)
        this.#gradients.load(saved.gradients.training, saved.gradients.projection)
      }
    }
    const nowMs = this.#parts.clock()
    const { found, expired } = await putBackWindows(this.#parts.log, saved, this.#expected(), {
      heldOut: (window) => this.#heldBack.push('held-out', window, nowMs),
      calibration: (window) => this.#heldBack.push('calibration', window, nowMs),
      waiting: (window) => this.#heldBack.push('training', window, nowMs),
      replay: ({ place, rows }, uses) => this.#learnLater(place, rows, uses),
    })
    logger.info('continuing', {
      version: this.#parts.line.version,
      positions: saved.counts.closedFormPositions,
      windowsHeldBack: found,
      windowsExpired: expired,
    })
  }

  #expected(): WindowExpectations {
    const { model, line } = this.#parts
    return {
      targetFingerprint: model.fingerprint,
      tokenizerHash: model.tokenizerHash,
      vocabSize: line.incumbent.config.vocabSize,
      norm: model.target.norm,
    }
  }

  #showCounts(): void {
    const { metrics, line } = this.#parts
    metrics.closedFormPositions.set({}, this.#closedFormPositions)
    metrics.gradientPositions.set({}, this.#gradientPositions)
    metrics.version.set({}, line.version)
  }

  async #release(): Promise<void> {
    await this.#closedForm.release()
    await this.#gradients?.release()
    await this.#scorers.release()
  }
}
