/**
 * Captured windows on their way to the event log. Requests hand windows over and never wait: the queue is bounded in
 * bytes, and what does not fit is shed and counted. One loop sends, in the order of arrival; while the log is
 * unavailable the loop keeps trying the same records and the queue fills up to its bound. A batch of which the log has a
 * part already is sent again whole: the scorer knows a window by sample and index and decides it once, and the copies
 * have the same ce_id.
 *
 *     open ──close(withinMs)──▶ closing (sends what is queued, at most that long) ──▶ closed
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeHeaders, PlateauError, topics, TokenWindow } from '@plateau/contracts'
import { untilAborted, type NewRecord, type Producer } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import type { ShedReason, TargetMetrics } from './metrics.js'

/** Records sent at once: enough to share a commit, few enough that acknowledgements come steadily. */
const BATCH_RECORDS = 32
const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 5000

interface Queued {
  readonly record: NewRecord
  readonly bytes: number
}

export interface PublisherOptions {
  readonly maxQueueBytes: number
  readonly logger: Logger
  readonly metrics: Pick<TargetMetrics, 'captured' | 'shed' | 'published' | 'queueBytes'>
}

export class WindowPublisher {
  readonly #producer: Producer
  readonly #options: PublisherOptions
  readonly #queue: Queued[] = []
  /** Of the queue and of the batch being sent. */
  #bytes = 0
  #state: 'open' | 'closing' | 'closed' = 'open'
  readonly #giveUp = new AbortController()
  #wake: () => void = () => {}
  readonly #loop: Promise<void>

  constructor(producer: Producer, options: PublisherOptions) {
    this.#producer = producer
    this.#options = options
    options.metrics.queueBytes.observe(() => [[{}, this.#bytes]])
    this.#loop = this.#run()
  }

  /** Bytes that the log has not acknowledged. */
  get queuedBytes(): number {
    return this.#bytes
  }

  /** Never throws and never waits. */
  offer(window: TokenWindow, traceparent: string | undefined): void {
    const { metrics, maxQueueBytes } = this.#options
    metrics.captured.add({})
    if (this.#state !== 'open') return this.#shed('shutdown', 1)
    // A full queue must not cost the encoding as well.
    if (this.#bytes >= maxQueueBytes) return this.#shed('queue_full', 1)
    const record = recordOf(window, traceparent)
    const bytes = record.value!.length + record.key.length
    if (bytes > topics.tokenDistributions.maxRecordBytes) return this.#shed('too_large', 1)
    if (this.#bytes + bytes > maxQueueBytes) return this.#shed('queue_full', 1)
    this.#queue.push({ record, bytes })
    this.#bytes += bytes
    this.#wake()
  }

  /** Sends what is queued, for at most `withinMs`; sheds the rest. Idempotent. */
  async close(withinMs: number): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'closing'
      this.#wake()
      const timer = setTimeout(() => this.#giveUp.abort(), withinMs)
      await this.#loop
      clearTimeout(timer)
      this.#state = 'closed'
    }
    await this.#loop
  }

  async #run(): Promise<void> {
    for (;;) {
      const batch = this.#queue.splice(0, BATCH_RECORDS)
      if (batch.length > 0) await this.#send(batch)
      else if (this.#state === 'open') await new Promise<void>((resolve) => (this.#wake = resolve))
      else return
    }
  }

  async #send(batch: readonly Queued[]): Promise<void> {
    const { logger, metrics } = this.#options
    const records = batch.map(({ record }) => record)
    const { signal } = this.#giveUp
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
      if (signal.aborted) {
        this.#shed('shutdown', batch.length)
        break
      }
      try {
        await untilAborted(this.#producer.send(topics.tokenDistributions.name, records), signal)
        metrics.published.add({}, batch.length)
        break
      } catch (error) {
        if (signal.aborted) continue
        if (!(error instanceof PlateauError && error.retryable)) {
          logger.error('windows refused by the event log', { windows: batch.length, error })
          this.#shed('refused', batch.length)
          break
        }
        logger.warn('could not publish windows, trying again', { windows: batch.length, waitMs, error })
        await sleep(waitMs, undefined, { signal }).catch(() => {})
      }
    }
    for (const { bytes } of batch) this.#bytes -= bytes
  }

  #shed(reason: ShedReason, windows: number): void {
    this.#options.metrics.shed.add({ reason }, windows)
  }
}

function recordOf(window: TokenWindow, traceparent: string | undefined): NewRecord {
  const { messageType } = topics.tokenDistributions
  return {
    key: window.sampleId,
    value: TokenWindow.encode(window).finish(),
    headers: encodeHeaders({
      id: `window:${window.sampleId}:${window.windowIndex}`,
      source: '/plateau/target-model',
      type: messageType,
      timeMs: window.capturedAtMs,
      subject: window.sampleId,
      traceparent,
    }),
    timestampMs: window.capturedAtMs,
  }
}
