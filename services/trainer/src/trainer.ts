import {
  defaultLogitScale,
  featureHeadInputs,
  withoutLayer,
  withParameters,
  type FeatureHead,
} from '@plateau/causal-lm'
import type { CheckpointStore } from '@plateau/checkpoints'
import { topics } from '@plateau/contracts'
import type { Batch, EventLog, Lease, Producer } from '@plateau/event-log'
import { prepareDraftTarget, type DraftTarget, type WindowExpectations } from '@plateau/inference'
import type { DraftTargetModel } from '@plateau/model-files'
import { messagingAttributes, startMessageSpan, type Logger, type MessageSpan } from '@plateau/telemetry'
import { setImmediate as turn } from 'node:timers/promises'
import { BatchFeed, readTrainingWindows } from './batch-feed.js'
import { ClosedForm } from './closed-form.js'
import { Contest, type ContestOptions } from './contest.js'
import { bury, TRAINER_GROUP } from './dead-letters.js'
import type { DraftLine } from './draft-line.js'
import { Gradients, type GradientsOptions } from './gradients.js'
import { HeadScorers } from './head-scorers.js'
import { HeldBack, type HeldBackOptions } from './held-back.js'
import { Intake } from './intake.js'
import type { TrainerMetrics } from './metrics.js'
import { putBackWindows, readSnapshot } from './resume.js'
import { RETRY_MS, within, worksNow } from './retry-later.js'
import { encodeSnapshot, SNAPSHOT_NAME, type LineageCounts, type Snapshot } from './snapshot.js'
import { SolveSchedule, type SolveOptions } from './solve-schedule.js'
import { expectationsOf } from './training-record.js'

const source = topics.trainingWindows.name

export interface TrainerOptions extends HeldBackOptions, SolveOptions, GradientsOptions, ContestOptions {
  readonly lineage: string
  readonly ridgeLambda: number
  readonly halfLifePositions: number
  readonly snapshotMs: number
}

export interface TrainerParts {
  readonly log: EventLog
  /** For dead letters. */
  readonly producer: Producer
  /** The right to write the lineage. */
  readonly lease: Pick<Lease, 'epoch' | 'lost'>
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
const LAG_REPORT_MS = 2000

/**
 * Turns training windows into versions of a draft. One loop, in this order of urgency:
 *
 *   windows that have arrived -> solve the closed form when enough is new -> a gradient step in what time is left
 *
 * Exactly once: offsets, sums, weights and counts are saved together in one snapshot, atomically. After a kill the loop
 * continues from the snapshot's offsets: what came after it is read again and was in no saved state. What a producer
 * repeats is known by its ce_id. Every snapshot is whole in itself: after a take-over the counts are right whichever one
 * the new writer found, and it saves its own at once, under its own epoch.
 *
 * States: new, running, closed.
 */
export class Trainer {
  readonly #options: TrainerOptions
  readonly #parts: TrainerParts
  readonly #expected: WindowExpectations
  readonly #closedForm: ClosedForm
  readonly #scorers: HeadScorers
  readonly #contest: Contest
  readonly #intake: Intake
  readonly #heldBack: HeldBack
  readonly #schedule: SolveSchedule
  readonly #gradients: Gradients
  readonly #stopping = new AbortController()
  /** Told to stop, or no longer the writer. */
  readonly #ending: AbortSignal
  /** The fixed random features, and the newest solution once there is one. */
  #solution: FeatureHead
  /** In the sums, over the lineage's life. */
  #closedFormPositions: number
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
    const { line, clock, lease } = parts
    this.#ending = AbortSignal.any([this.#stopping.signal, lease.lost])
    this.#options = options
    this.#parts = parts
    this.#expected = expectationsOf(parts.model, line.incumbent.config.vocabSize)
    this.#closedForm = closedForm
    this.#solution = withoutLayer(line.incumbent)
    this.#scorers = new HeadScorers(target, options.threads)
    this.#contest = new Contest(options, { ...parts, scorers: this.#scorers })
    this.#heldBack = new HeldBack(options)
    this.#intake = new Intake(
      {
        expected: this.#expected,
        metrics: parts.metrics,
        use: (window) => this.#heldBack.push(window.purpose, window, clock()),
        bury: (poison) => bury(poison, parts, this.#ending),
      },
      saved,
    )
    this.#closedFormPositions = saved?.counts.closedFormPositions ?? 0
    this.#schedule = new SolveSchedule(options, this.#closedFormPositions > 0)
    this.#gradients = new Gradients(options, { ...parts, target }, saved?.counts.gradientPositions ?? 0)
    this.#savedAtMs = clock()
    parts.metrics.snapshotAge.observe(() => [[{}, (clock() - this.#savedAtMs) / 1000]])
  }

  /** Continues from the saved state of the lineage, or begins. Throws TRAINER_STATE_MISMATCH, TRAINER_STATE_INVALID. */
  static async open(options: TrainerOptions, parts: TrainerParts): Promise<Trainer> {
    const { incumbent } = parts.line
    const target = prepareDraftTarget(parts.model.target, incumbent.config)
    const saved = await readSnapshot(options.lineage, featureHeadInputs(incumbent.config), parts)
    const { ridgeLambda: lambda, halfLifePositions, threads } = options
    const ridge = { lambda, halfLifePositions, threads }
    const closedForm = await ClosedForm.open(incumbent, target, ridge, saved?.closedForm)
    const trainer = new Trainer(options, parts, closedForm, target, saved)
    try {
      if (saved !== undefined) {
        await trainer.#resume(saved)
        await trainer.#save()
      }
      trainer.#showCounts()
      return trainer
    } catch (error) {
      // Fenced before it began, for example: the process stands by again, and may do so often.
      await trainer.#release()
      throw error
    }
  }

  /**
   * Trains until `close`. Rejects when it cannot go on, with what the lease was lost by when that is why; a restart
   * continues from the last snapshot.
   */
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
      gradientPositions: this.#gradients.freshPositions,
    }
  }

  async #loop(): Promise<void> {
    const { log, line, lease, clock, beat } = this.#parts
    const feed = new BatchFeed(readTrainingWindows(log, this.#intake.offsets))
    const onEnd = (): void => void feed.close()
    this.#ending.addEventListener('abort', onEnd)
    try {
      while (!this.#ending.aborted) {
        beat?.()
        const batch = await feed.take(this.#waitMs())
        if (this.#ending.aborted) break
        if (batch !== undefined) await this.#ingest(batch)
        await this.#admit()
        if (this.#solveIsDue()) await this.#solve()
        else if (batch === undefined && clock() >= this.#gradients.nextStepMs) await this.#step()
        if (this.#saveIsDue()) await this.#save()
        if (clock() >= this.#nextAnnounceMs) {
          await line.announce()
          this.#nextAnnounceMs = clock() + RETRY_MS
        }
        // Health and metrics are answered between two pieces of work, however busy the stream.
        await turn()
      }
      lease.lost.throwIfAborted()
      if (this.#changed) await this.#save()
      await line.announce()
    } catch (error) {
      lease.lost.throwIfAborted()
      // Told to stop while waiting to try again: the next process takes the same records.
      if (!(error instanceof Error && error.name === 'AbortError')) throw error
    } finally {
      this.#ending.removeEventListener('abort', onEnd)
      await feed.close()
      await this.#release()
    }
  }

  #waitMs(): number {
    if (this.#solveIsDue()) return 0
    return Math.min(IDLE_WAIT_MS, Math.max(0, this.#gradients.nextStepMs - this.#parts.clock()))
  }

  #solveIsDue(): boolean {
    return this.#schedule.isDue(this.#closedFormPositions, this.#parts.clock())
  }

  #saveIsDue(): boolean {
    const waitedMs = this.#parts.clock() - Math.max(this.#savedAtMs, this.#triedToSaveMs)
    return this.#changed && waitedMs >= this.#options.snapshotMs
  }

  async #ingest(batch: Batch): Promise<void> {
    const span = batchSpan(batch)
    try {
      await this.#intake.take(batch)
    } catch (error) {
      span.end(error)
      throw error
    }
    span.end()
    this.#changed = true
    this.#showCounts()
  }

  /** Windows that have been tested on long enough are trained on from now on. */
  async #admit(): Promise<void> {
    const admitted = this.#heldBack.admit(this.#closedFormPositions, this.#parts.clock())
    if (admitted.length === 0) return
    for (const { place, rows, keep } of admitted) {
      await this.#closedForm.add(rows)
      this.#schedule.add(rows.length)
      this.#closedFormPositions += rows.length
      if (keep) this.#gradients.keep(place, rows)
    }
    this.#changed = true
    this.#showCounts()
  }

  async #solve(): Promise<void> {
    const { metrics, clock, logger } = this.#parts
    const startedMs = clock()
    this.#schedule.begin()
    try {
      const projection = await this.#closedForm.solve()
      const solved = withParameters(this.#solution, { 'fc.weight': projection })
      this.#solution = await this.#scorers.calibrated(solved, this.#heldBack.calibration(clock()))
    } catch (error) {
      // Too few or damaged sums: the next windows may mend it, and the incumbent serves meanwhile.
      if (!(error instanceof RangeError)) throw error
      logger.warn('closed form not solved', { error })
      return this.#schedule.failed(clock())
    }
    await this.#gradients.rebase(this.#solution)
    metrics.solves.add({})
    await this.#compete()
    const tookMs = clock() - startedMs
    this.#schedule.solved(clock(), tookMs)
    metrics.solveSeconds.record({}, tookMs / 1000)
  }

  async #step(): Promise<void> {
    if (!(await this.#gradients.step())) return
    this.#changed = true
    this.#showCounts()
    if (this.#gradients.evaluationIsDue) await this.#compete()
  }

  /** What training has against what is live. */
  async #compete(): Promise<void> {
    const { offsets, policy, traceparent } = this.#intake
    const { astray, isPublished } = await this.#contest.hold(
      this.#heldBack.unseen(this.#parts.clock()),
      { closedForm: this.#solution, gradients: this.#gradients.candidate() },
      {
        trainedThrough: offsets.map(({ partition, offset }) => ({ topic: source, partition, nextOffset: offset })),
        trainedPositions: this.#closedFormPositions,
        policy,
      },
      traceparent,
    )
    if (astray !== undefined) this.#gradients.restart(this.#solution, astray)
    if (isPublished) await this.#save()
  }

  async #save(): Promise<void> {
    const { store, log, lease, model, clock } = this.#parts
    const snapshot: Snapshot = {
      targetFingerprint: model.fingerprint,
      tokenizerHash: model.tokenizerHash,
      ...this.#intake.state,
      counts: this.counts,
      ...this.#heldBack.places,
      replay: this.#gradients.places,
      logitScale: this.#solution.parameters.get('logit_scale')?.data[0] ?? defaultLogitScale,
      closedForm: await this.#closedForm.state(),
      gradients: this.#gradients.state,
    }
    this.#triedToSaveMs = clock()
    const isSaved = await worksNow(this.#parts.logger, 'state not saved', () =>
      store.putState(this.#options.lineage, SNAPSHOT_NAME, encodeSnapshot(snapshot), lease.epoch),
    )
    if (!isSaved) return
    this.#changed = false
    this.#savedAtMs = clock()
    // Only to be seen from outside: we never start from these, and do not wait long for them.
    await worksNow(this.#parts.logger, 'lag not reported', () =>
      within(LAG_REPORT_MS, log.commit(TRAINER_GROUP, source, snapshot.offsets)),
    )
  }

  /** Puts back what a snapshot refers to: windows by their place in the log, the solution by solving again. */
  async #resume(saved: Snapshot): Promise<void> {
    const { log, line, logger, clock } = this.#parts
    if (saved.counts.closedFormPositions > 0) {
      this.#solution = withParameters(this.#solution, {
        'fc.weight': await this.#closedForm.solve(),
        logit_scale: Float32Array.of(saved.logitScale),
      })
      if (saved.gradients !== undefined) await this.#gradients.resume(this.#solution, saved.gradients)
    }
    const nowMs = clock()
    const { found, expired } = await putBackWindows(log, saved, this.#expected, {
      heldOut: (window) => this.#heldBack.push('held-out', window, nowMs),
      calibration: (window) => this.#heldBack.push('calibration', window, nowMs),
      waiting: (window) => this.#heldBack.push('training', window, nowMs),
      replay: ({ place, rows }, uses) => this.#gradients.keep(place, rows, uses),
    })
    logger.info('continuing', {
      version: line.version,
      positions: saved.counts.closedFormPositions,
      windowsHeldBack: found,
      windowsExpired: expired,
    })
  }

  #showCounts(): void {
    const { metrics, line } = this.#parts
    for (const [kind, windows] of Object.entries(this.#intake.windows)) {
      const [arm = '', decision = ''] = kind.split('/')
      metrics.lineageWindows.set({ arm, decision }, windows)
    }
    metrics.closedFormPositions.set({}, this.#closedFormPositions)
    metrics.gradientPositions.set({}, this.#gradients.freshPositions)
    metrics.version.set({}, line.version)
  }

  async #release(): Promise<void> {
    this.#parts.metrics.snapshotAge.observe(() => [])
    await this.#closedForm.release()
    await this.#gradients.release()
    await this.#scorers.release()
  }
}

/** Many traces come together here: they are linked. */
function batchSpan({ topic, partition, records }: Batch): MessageSpan {
  return startMessageSpan(`process ${topic}`, {
    kind: 'consumer',
    links: records.map(({ headers }) => headers['traceparent']),
    attributes: {
      ...messagingAttributes('process', topic, TRAINER_GROUP),
      'messaging.destination.partition.id': String(partition),
      'messaging.batch.message_count': records.length,
    },
  })
}
