import type { CheckpointStore } from '@plateau/checkpoints'
import { topics } from '@plateau/contracts'
import type { Batch, EventLog, Lease, Producer } from '@plateau/event-log'
import type { ModelDescription } from '@plateau/model-files'
import { messagingAttributes, startSpan, type Logger, type WorkSpan } from '@plateau/telemetry'
import { setImmediate as turn } from 'node:timers/promises'
import { BatchFeed, readTrainingWindows } from './batch-feed.js'
import { Contest, type ContestOptions, type TrainingFacts } from './contest.js'
import { bury, TRAINER_GROUP } from './dead-letters.js'
import type { DraftLine, VersionCause } from './draft-line.js'
import { Effort } from './effort.js'
import { Forgetting } from './forgetting.js'
import { ForgottenTenants } from './forgotten-tenants.js'
import { HeldBack, mostHeldBack, type ComparedWindows, type HeldBackOptions } from './held-back.js'
import { Intake } from './intake.js'
import type { DraftKind, LearnedPositions, Learner, SelectionLearning } from './kinds/draft-kind.js'
import type { TrainerMetrics } from './metrics.js'
import type { PolicyPublisher } from './policy/policy-publisher.js'
import { OtherLineages } from './other-lineages.js'
import { putBackWindows, readSnapshot } from './resume.js'
import { RETRY_MS, untilItWorks, worksNow } from './retry-later.js'
import { Saving } from './saving.js'
import type { ServingVerdicts } from './serving-verdicts.js'
import type { Snapshot } from './snapshot.js'
import { TenantShare } from './tenant-share.js'
import type { Traffic } from './traffic.js'
import type { AcceptedRecord } from './training-record.js'
import { TrainingTraces } from './training-traces.js'

const source = topics.trainingWindows.name

export interface TrainerOptions extends HeldBackOptions, ContestOptions, Traffic {
  readonly lineage: string
  readonly snapshotMs: number
  /** See TenantShare; not set: no bound. */
  readonly tenantShare?: number
  /** As many positions of a tenant are always learned from in ten minutes. */
  readonly halfLifePositions?: number
  /** Of the topic, those that this trainer reads; not set: all. */
  readonly partitions?: readonly number[] | undefined
  /** Lineages whose trainers read the others: their sums are merged with ours. */
  readonly mergeLineages?: readonly string[] | undefined
}

export interface TrainerParts<Model> {
  readonly kind: DraftKind<Model>
  readonly log: EventLog
  /** For dead letters. */
  readonly producer: Producer
  /** The right to write the lineage. */
  readonly lease: Pick<Lease, 'epoch' | 'lost'>
  readonly store: CheckpointStore
  readonly line: DraftLine<Model>
  readonly verdicts: ServingVerdicts
  /** Undefined: nothing is learned about selection. */
  readonly policy: PolicyPublisher | undefined
  readonly model: ModelDescription
  readonly logger: Logger
  readonly metrics: TrainerMetrics
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Told at every turn of the loop. */
  readonly beat?: () => void
}

const IDLE_WAIT_MS = 100

/**
 * Turns training windows into versions of a draft. One loop, in this order of urgency:
 *
 *   windows that have arrived -> a refresh when enough is new (a solve, say) -> in a small share of the time a piece of
 *   what is learned about selection -> a gradient step in what time is left
 *
 * Exactly once: offsets, what was learned and counts are saved together in one snapshot, atomically. After a kill the loop
 * continues from the snapshot's offsets: what came after it is read again and was in no saved state. What a producer
 * repeats is known by its ce_id. Every snapshot is whole in itself: after a take-over the counts are right whichever one
 * the new writer found, and it saves its own at once, under its own epoch.
 *
 * States: new, running, closed.
 */
export class Trainer<Model> {
  readonly #options: TrainerOptions
  readonly #parts: TrainerParts<Model>
  readonly #learner: Learner<Model>
  readonly #contest: Contest<Model>
  readonly #intake: Intake
  readonly #heldBack: HeldBack
  readonly #share: TenantShare
  readonly #effort: Effort
  readonly #forgotten: ForgottenTenants
  readonly #forgetting: Forgetting<Model>
  readonly #stopping = new AbortController()
  /** Told to stop, or no longer the writer. */
  readonly #ending: AbortSignal
  readonly #saving: Saving
  readonly #traces = new TrainingTraces()
  #nextAnnounceMs = 0
  #running: Promise<void> | undefined

  private constructor(
    options: TrainerOptions,
    parts: TrainerParts<Model>,
    learner: Learner<Model>,
    forgotten: ForgottenTenants,
    saved: Snapshot | undefined,
  ) {
    const { kind, lease, metrics } = parts
    this.#ending = AbortSignal.any([this.#stopping.signal, lease.lost])
    this.#options = options
    this.#parts = parts
    this.#learner = learner
    this.#contest = new Contest(options, { ...parts, learner })
    this.#heldBack = new HeldBack(options)
    this.#intake = new Intake(
      {
        expected: kind.expected,
        traffic: options,
        metrics,
        use: (window) => this.#use(window),
        bury: (poison) => bury(poison, parts, this.#ending),
      },
      saved,
    )
    this.#forgotten = forgotten
    this.#share = new TenantShare({
      share: options.tenantShare ?? 1,
      floorPositions: options.halfLifePositions ?? Infinity,
    })
    this.#effort = new Effort(parts, learner.positions)
    this.#forgetting = new Forgetting(
      {
        ...parts,
        tenants: forgotten,
        learner,
        heldBack: this.#heldBack,
        contest: this.#contest,
        effort: this.#effort,
        about: () => this.#about(),
      },
      saved?.owesVersion ?? false,
    )
    this.#saving = new Saving(options, { ...parts, snapshot: () => this.#snapshot() })
  }

  /** Continues from the saved state of the lineage, or begins. Throws TRAINER_STATE_MISMATCH, TRAINER_STATE_INVALID. */
  static async open<Model>(options: TrainerOptions, parts: TrainerParts<Model>): Promise<Trainer<Model>> {
    const { kind, line, lease, logger, beat } = parts
    const { lineage } = options
    const saved = await readSnapshot(lineage, kind.name, parts)
    const forgotten = new ForgottenTenants({ ...parts, lineage }, saved?.forgotten)
    const others = new OtherLineages(options.mergeLineages ?? [], parts)
    let ending = (): AbortSignal => lease.lost
    const learner = await kind.open({
      ...parts,
      lineage,
      incumbent: line.incumbent,
      incumbentFrom: line.incumbentFrom,
      first: () =>
        untilItWorks('the first version cannot be read', () => line.first(), { logger, beat, signal: ending() }),
      saved: saved?.learner,
      others: () => others.read(),
      forgotten: () => forgotten.tenants,
    })
    const trainer = new Trainer(options, parts, learner, forgotten, saved)
    ending = () => trainer.#ending
    try {
      if (saved !== undefined) {
        await trainer.#putBack(saved)
        await trainer.#save()
      }
      trainer.#showCounts()
      trainer.#showMemory()
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

  /** Over the lineage's life. */
  get counts(): { readonly windows: Readonly<Record<string, number>>; readonly positions: LearnedPositions } {
    return { windows: this.#intake.windows, positions: this.#learner.positions }
  }

  async #loop(): Promise<void> {
    const { log, line, policy, lease, clock, beat } = this.#parts
    const feed = new BatchFeed(readTrainingWindows(log, this.#intake.offsets))
    const onEnd = (): void => void feed.close()
    this.#ending.addEventListener('abort', onEnd)
    try {
      while (!this.#ending.aborted) {
        beat?.()
        const batch = await feed.take(this.#waitMs())
        if (this.#ending.aborted) break
        if (batch !== undefined && this.#reads(batch)) await this.#ingest(batch)
        if (this.#forgetting.isDue && (await this.#forget())) await this.#hearServing()
        await this.#admit()
        if (this.#learner.refreshIsDue()) await this.#refresh()
        else if (this.#learner.selection?.isDue()) await this.#learnSelection(this.#learner.selection)
        else if (batch === undefined && clock() >= this.#learner.nextStepMs) await this.#step()
        if (this.#saving.isDue) await this.#save()
        this.#effort.report(this.#learner.positions)
        await policy?.publish()
        if (clock() >= this.#nextAnnounceMs) {
          await line.announce()
          this.#nextAnnounceMs = clock() + RETRY_MS
        }
        // Health and metrics are answered between two pieces of work, however busy the stream.
        await turn()
      }
      lease.lost.throwIfAborted()
      if (this.#saving.isNeeded) await this.#save()
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

  #reads({ partition }: Batch): boolean {
    const { partitions } = this.#options
    return partitions === undefined || partitions.includes(partition)
  }

  #waitMs(): number {
    if (this.#learner.refreshIsDue()) return 0
    return Math.min(IDLE_WAIT_MS, Math.max(0, this.#learner.nextStepMs - this.#parts.clock()))
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
    this.#saving.need()
    this.#showCounts()
  }

  #use(window: AcceptedRecord): void {
    const { metrics, clock } = this.#parts
    if (this.#forgotten.has(window)) return metrics.forgotten.add({})
    if (!this.#share.take(window.tenant, window.rows.length, clock())) return metrics.overShare.add({})
    this.#heldBack.push(window.purpose, window, clock())
  }

  /** Windows that have been tested on long enough are trained on from now on. */
  async #admit(): Promise<void> {
    const admitted = this.#heldBack.admit(this.#trainedPositions, this.#parts.clock())
    if (admitted.length === 0) return
    await this.#effort.spend('admit', async () => {
      for (const window of admitted) {
        await this.#learner.admit(window)
        this.#traces.admitted(window)
      }
    })
    this.#saving.need()
    this.#showCounts()
  }

  async #refresh(): Promise<void> {
    const { clock } = this.#parts
    const startedMs = clock()
    const calibration = this.#heldBack.calibration(startedMs)
    if (!(await this.#effort.spend('refresh', () => this.#learner.refresh(calibration)))) return
    this.#traces.trained('closed-form', this.#learner.positions.closedForm, startedMs)
    this.#saving.need()
    await this.#compete()
    this.#learner.refreshed(clock() - startedMs)
  }

  async #learnSelection(selection: SelectionLearning): Promise<void> {
    const learn = () => selection.learn(this.#unseen())
    await this.#effort.spend('learn', learn)
    this.#saving.need()
  }

  async #step(): Promise<void> {
    const startedMs = this.#parts.clock()
    const step = () => this.#learner.step(this.#unseen())
    const { isTaken, isForContest } = await this.#effort.spend('step', step)
    if (!isTaken) return
    this.#traces.trained('gradients', this.#learner.positions.gradients, startedMs)
    this.#saving.need()
    this.#showCounts()
    if (isForContest) await this.#compete()
  }

  /** False while a version may not be published: see Forgetting. */
  async #forget(): Promise<boolean> {
    const { isClear, isChanged, isPublished } = await this.#forgetting.obey()
    if (isChanged) this.#saving.need()
    if (isPublished) await this.#save()
    return isClear
  }

  async #hearServing(): Promise<void> {
    const { verdicts, line, logger } = this.#parts
    await worksNow(logger, 'not told what serving refused', () => verdicts.read(line.version))
  }

  /** What training has against what is live. */
  async #compete(): Promise<void> {
    if (!(await this.#forget())) return
    const { windows, training, cause } = this.#about()
    const hold = () => this.#contest.hold(windows, training, cause)
    if (await this.#effort.spend('contest', hold)) await this.#save()
  }

  /** What a version that is published now is compared on, and says of its training. */
  #about(): { windows: ComparedWindows; training: TrainingFacts; cause: VersionCause } {
    const { offsets, policy, newestWindowAtMs } = this.#intake
    const trainedThrough = offsets.map(({ partition, offset }) => ({ topic: source, partition, nextOffset: offset }))
    return {
      windows: this.#unseen(),
      training: { trainedThrough, trainedPositions: this.#trainedPositions, policy },
      cause: { traceparent: this.#traces.traceparent, newestWindowAtMs },
    }
  }

  #unseen(): ComparedWindows {
    const nowMs = this.#parts.clock()
    return { unseen: this.#heldBack.unseen(nowMs), calibration: this.#heldBack.calibration(nowMs) }
  }

  get #trainedPositions(): number {
    const { closedForm, gradients } = this.#learner.positions
    return Math.max(closedForm, gradients)
  }

  #save(): Promise<void> {
    return this.#effort.spend('save', () => this.#saving.save())
  }

  async #snapshot() {
    return {
      ...this.#intake.state,
      ...this.#heldBack.places,
      forgotten: this.#forgotten.state,
      owesVersion: this.#forgetting.owesVersion,
      learner: await this.#learner.state(),
    }
  }

  /** Puts back the windows that a snapshot refers to by their place in the log. */
  async #putBack(saved: Snapshot): Promise<void> {
    const { kind, log, line, logger, clock } = this.#parts
    const nowMs = clock()
    const { found, expired } = await putBackWindows(
      log,
      saved,
      { expected: kind.expected, traffic: this.#options },
      {
        heldOut: (window) => this.#heldBack.push('held-out', window, nowMs),
        calibration: (window) => this.#heldBack.push('calibration', window, nowMs),
        waiting: (window) => this.#heldBack.push('training', window, nowMs),
        replay: (window, place) => this.#learner.restore(window, place),
      },
    )
    logger.info('continuing', {
      version: line.version,
      positions: this.#trainedPositions,
      windowsHeldBack: found,
      windowsExpired: expired,
    })
  }

  #showCounts(): void {
    const { metrics, line } = this.#parts
    for (const [key, windows] of Object.entries(this.#intake.windows)) {
      const [arm = '', decision = ''] = key.split('/')
      metrics.lineageWindows.set({ arm, decision }, windows)
    }
    const { closedForm, gradients } = this.#learner.positions
    metrics.closedFormPositions.set({}, closedForm)
    metrics.gradientPositions.set({}, gradients)
    metrics.version.set({}, line.version)
  }

  #showMemory(): void {
    const { metrics, logger, kind } = this.#parts
    const parts = { ...this.#learner.memory, held_back: mostHeldBack(this.#options) * kind.positionBytes }
    for (const [part, bytes] of Object.entries(parts)) metrics.memoryBytes.set({ part }, bytes)
    const inMiB = Object.entries(parts).map(([part, bytes]) => [`${part}MiB`, Math.ceil(bytes / 2 ** 20)])
    logger.info('memory at most', Object.fromEntries(inMiB))
  }

  async #release(): Promise<void> {
    this.#saving.close()
    await this.#learner.release()
  }
}

/** Many traces come together here: they are linked. */
function batchSpan({ topic, partition, records }: Batch): WorkSpan<'process {topic}'> {
  return startSpan('process {topic}', {
    of: { topic },
    links: records.map(({ headers }) => headers['traceparent']),
    attributes: {
      ...messagingAttributes('process', topic),
      'messaging.consumer.group.name': TRAINER_GROUP,
      'messaging.destination.partition.id': String(partition),
      'messaging.batch.message_count': records.length,
    },
  })
}
