import { deadLetterTopic, groups, PlateauError, topics, type TopicSpec } from '@plateau/contracts'
import {
  deadLetterRecord,
  type Batch,
  type BatchControl,
  type Consumer,
  type EventLog,
  type NewRecord,
  type Producer,
} from '@plateau/event-log'
import { windowsToRemember, type ArmShares, type SelectionPolicy } from '@plateau/flatness'
import type { Logger } from '@plateau/telemetry'
import { acceptWindow, type AcceptedWindow } from './accept-window.js'
import { keptPositions } from './decision.js'
import { FlatnessWatch } from './flatness-watch.js'
import type { ScorerMetrics } from './metrics.js'
import { readHistory } from './partition-history.js'
import { PartitionScorer, type WindowOutcome } from './partition-scorer.js'
import { PolicyWatch } from './policy-watch.js'
import { patiently } from './patiently.js'
import { WindowSpans } from './window-spans.js'

export const SCORER_GROUP = groups.scorer

const source = topics.tokenDistributions
export const scorerDeadLetters = deadLetterTopic(source, SCORER_GROUP)

/** The source first. */
export const scorerTopics = [
  source,
  topics.scoredTokens,
  topics.trainingWindows,
  topics.selectionPolicy,
  topics.drift,
  scorerDeadLetters,
] as const

export interface ScorerOptions {
  readonly lineage: string
  /** Name of this process in what it says of the traffic. */
  readonly server: string
  /** Until the selection-policy topic says otherwise. */
  readonly policy: SelectionPolicy
  readonly shares: ArmShares
  readonly recentWindows: number
  readonly warmUpWindows: number
  readonly batchWindows: number
}

/** As the shell's health board wants to see it. */
export interface Progress {
  beat(): void
  done(): void
}

export interface ScorerParts {
  readonly log: EventLog
  readonly logger: Logger
  readonly metrics: ScorerMetrics
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Told when a batch is taken, while it waits for the log, and when it is done: silence in between is a stall. */
  readonly batchBegins?: (partition: number) => Progress
  /** Told whenever the group's consumer is seen to work. */
  readonly onAlive?: () => void
}

/**
 * Scores every window once and decides once what gradients may do with it. States: new, running, closed.
 *
 * What protects "one decision per window", step by step of a batch:
 *   1. scored-tokens is sent first: the decision is durable before anything acts on it. A batch that is delivered again
 *      after a crash finds its decisions there (`readHistory`) and uses them.
 *   2. training-windows is sent next. After a crash here, the window's training record is found in that topic and not
 *      sent again.
 *   3. The offset is committed last: what was not committed is delivered again, so nothing is lost.
 * Two cases can still put a record there twice: a send that failed after it had reached some partitions, and a member
 * that lost its partition while it was sending. Both repeat the same ce_id; the first record of a ce_id is the decision,
 * and every consumer drops the second. What is said of the traffic (drift) comes of windows that were decided just now, and
 * is sent before they are committed: at most once for a window. A dead letter, too, can come twice: its x-dlq-original-offset tells. Arms come
 * from a hash, so no repetition can move a sample out of evaluation.
 */
export class Scorer {
  readonly #options: ScorerOptions
  readonly #parts: ScorerParts
  readonly #producer: Producer
  readonly #consumer: Consumer
  readonly #policies: PolicyWatch
  readonly #flatness: FlatnessWatch
  /** With the assignment under which each was taken up: between two of them another member may have been at work. */
  readonly #partitions = new Map<number, { readonly scorer: PartitionScorer; readonly assignment: AbortSignal }>()
  readonly #stopping = new AbortController()
  readonly #giveUp = new AbortController()

  constructor(options: ScorerOptions, parts: ScorerParts) {
    this.#options = options
    this.#parts = parts
    // Waits when it is full: the batch in hand waits with it, and so does its partition.
    this.#producer = parts.log.producer({ whenFull: 'wait' })
    this.#consumer = parts.log.consumer({
      group: SCORER_GROUP,
      topics: [source.name],
      maxBatchRecords: options.batchWindows,
      ...(parts.onAlive === undefined ? {} : { onAlive: parts.onAlive }),
    })
    this.#policies = new PolicyWatch({ ...parts, lineage: options.lineage, configured: options.policy })
    this.#flatness = new FlatnessWatch({ ...options, ...parts })
  }

  /** Scores until `close`. Rejects when it cannot go on; nothing is lost then, a restart continues. */
  async run(): Promise<void> {
    const following = this.#policies.run()
    // A policy that is in the topic already must judge the first window, too.
    await Promise.race([this.#policies.caughtUp.catch(() => {}), following])
    if (this.#stopping.signal.aborted) return following
    const consuming = this.#consumer.run((batch, control) => this.#score(batch, control))
    await Promise.all([following, consuming])
  }

  /**
   * Finishes the batch in hand, commits it, leaves the group. A log that does not answer within that time is left: the
   * batch comes again. Idempotent.
   */
  async close(withinMs: number): Promise<void> {
    this.#stopping.abort()
    const timer = setTimeout(() => this.#giveUp.abort(), withinMs)
    await this.#consumer.close()
    await this.#policies.close()
    clearTimeout(timer)
  }

  async #score(batch: Batch, control: BatchControl): Promise<void> {
    const progress = this.#parts.batchBegins?.(batch.partition)
    const startedMs = this.#parts.clock()
    const spans = new WindowSpans(SCORER_GROUP)
    const ask = this.#asking(control, progress)
    try {
      const partition = await ask('read back what was decided', () => this.#continue(batch, control.signal))
      const { windows, poison } = this.#sort(batch)
      partition.use(this.#policies.current)
      const outcomes = windows.map((window) =>
        partition.process(window, { nowMs: this.#parts.clock(), traceparent: spans.begin(window) }),
      )
      const send = async ({ name }: TopicSpec, records: readonly NewRecord[]): Promise<void> => {
        if (records.length > 0) await ask(`write to ${name}`, () => this.#producer.send(name, records))
      }
      await send(scorerDeadLetters, poison)
      await send(topics.scoredTokens, present(outcomes, 'scored'))
      await send(topics.trainingWindows, present(outcomes, 'training'))
      await send(topics.drift, this.#watched(outcomes))
      partition.nextOffset = batch.records.at(-1)!.offset + 1
      await ask('commit', () => control.commit(partition.nextOffset))
      spans.end()
      this.#count(batch, partition, outcomes, startedMs)
    } catch (error) {
      spans.end(error)
      // The state is ahead of what is durable: whoever gets this partition next reads it back.
      this.#partitions.delete(batch.partition)
      const { partition } = batch
      if (isLost(error, control)) this.#parts.logger.info('partition lost, batch left to its new owner', { partition })
      else if (this.#isLeft(error)) this.#parts.logger.warn('stopped while the log is away, batch left', { partition })
      else throw error
    } finally {
      progress?.done()
    }
  }

  /** The state that the batch continues: the one in hand, or one read back from the output topics. */
  async #continue(batch: Batch, assignment: AbortSignal): Promise<PartitionScorer> {
    const fromOffset = batch.records[0]!.offset
    const inHand = this.#partitions.get(batch.partition)
    if (inHand?.assignment === assignment && inHand.scorer.nextOffset === fromOffset) return inHand.scorer
    const { recentWindows, batchWindows } = this.#options
    const windows = windowsToRemember(recentWindows)
    const history = await readHistory(this.#parts.log, {
      sourcePartition: batch.partition,
      sourcePartitions: (await this.#parts.log.offsets(source.name)).length,
      fromOffset,
      windows,
    })
    const rememberedDecisions = history.scored.length + 2 * batchWindows + windows
    const options = { ...this.#options, rememberedDecisions }
    const restored = new PartitionScorer(this.#policies.current, options, history, fromOffset)
    this.#partitions.set(batch.partition, { scorer: restored, assignment })
    this.#flatness.remember(batch.partition, history.scored)
    const facts = { partition: batch.partition, fromOffset, scoredBefore: history.scored.length }
    this.#parts.logger.info('partition taken up', facts)
    return restored
  }

  /** What the windows change in what is known of the traffic; of those that were decided before, nothing. */
  #watched(outcomes: readonly WindowOutcome[]): NewRecord[] {
    const nowMs = this.#parts.clock()
    return outcomes
      .filter(({ isNew }) => isNew)
      .flatMap(({ accepted, measured, traceparent }) =>
        this.#flatness.observe(accepted.window, measured.flatness, { nowMs, traceparent }),
      )
  }

  /** Windows that can be scored, and dead letters for the rest. */
  #sort(batch: Batch): { readonly windows: AcceptedWindow[]; readonly poison: NewRecord[] } {
    const windows: AcceptedWindow[] = []
    const poison: NewRecord[] = []
    for (const record of batch.records) {
      try {
        windows.push(acceptWindow(record))
      } catch (error) {
        if (!(error instanceof PlateauError)) throw error
        const { topic, partition, offset } = record
        poison.push(deadLetterRecord(record, SCORER_GROUP, error, this.#parts.clock()))
        this.#parts.metrics.deadLettered.add({ reason: error.code })
        this.#parts.logger.warn('record dead-lettered', { topic, partition, offset, why: error.message })
      }
    }
    return { windows, poison }
  }

  /** What a batch needs of the log, waited for; never after its partition was taken away: its new owner decides then. */
  #asking(control: BatchControl, progress: Progress | undefined) {
    const signal = AbortSignal.any([control.signal, this.#stopping.signal])
    const giveUp = this.#giveUp.signal
    const patience = { logger: this.#parts.logger, signal, giveUp, onWait: () => progress?.beat() }
    return async <T>(what: string, action: () => Promise<T>): Promise<T> => {
      control.signal.throwIfAborted()
      return patiently(what, action, patience)
    }
  }

  /** Nothing of it was committed: it comes again. */
  #isLeft(error: unknown): boolean {
    if (this.#giveUp.signal.aborted) return true
    return this.#stopping.signal.aborted && error instanceof PlateauError && error.retryable
  }

  #count(batch: Batch, partition: PartitionScorer, outcomes: readonly WindowOutcome[], startedMs: number): void {
    const { metrics, clock } = this.#parts
    for (const outcome of outcomes) {
      if (outcome.isNew) this.#countDecided(outcome)
      else metrics.redelivered.add({})
    }
    const label = { partition: String(batch.partition) }
    metrics.threshold.set(label, partition.threshold)
    metrics.keptShare.set(label, partition.keptShare)
    metrics.batchSeconds.record({}, (clock() - startedMs) / 1000)
  }

  #countDecided({ accepted: { window }, decision, measured }: WindowOutcome): void {
    const { metrics } = this.#parts
    const { arm } = decision
    const n = window.tokenIds.length
    const kept = keptPositions(decision, n)
    metrics.windows.add({ arm, decision: decision.keep ? 'keep' : 'drop' })
    metrics.tokens.add({}, n)
    metrics.positions.add({ arm, domain: window.domain, decision: 'keep' }, kept)
    metrics.positions.add({ arm, domain: window.domain, decision: 'drop' }, n - kept)
    metrics.flatness.record({ arm }, mean(measured.flatness))
    for (const rule of decision.keptBy) metrics.keptByTrial.add({ rule })
  }
}

function present(outcomes: readonly WindowOutcome[], kind: 'scored' | 'training'): NewRecord[] {
  return outcomes.map((outcome) => outcome[kind]).filter((record) => record !== undefined)
}

function isLost(error: unknown, control: BatchControl): boolean {
  return control.signal.aborted || (error instanceof PlateauError && error.code === 'PARTITION_LOST')
}

function mean(values: Float32Array): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length
}
