/**
 * Captured windows on their way to the event log. Requests hand windows over and never wait: the queue is bounded in
 * bytes, and what does not fit is shed and counted. One loop sends, in the order of arrival; while the log is
 * unavailable the loop keeps trying the same records and the queue fills up to its bound. A batch of which the log has a
 * part already is sent again whole: the scorer knows a window by sample and index and decides it once, and the copies
 * have the same ce_id. Where an operator's redaction is set, the loop applies it before it sends, a window a turn.
 *
 *     open ──close(withinMs)──▶ closing (sends what is queued, at most that long) ──▶ closed
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { encodeHeaders, PlateauError, topics, TokenWindow } from '@plateau/contracts'
import { untilAborted, type NewRecord, type Producer } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import type { ShedReason, TargetMetrics } from './metrics.js'
import { placeOf, type Redacted } from './redaction.js'

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
  readonly metrics: Pick<TargetMetrics, 'captured' | 'shed' | 'published' | 'queueBytes' | 'redacted'>
  /** Judges each window as it would be published. Synchronous, and never throws. */
  readonly redact?: ((value: Uint8Array) => Redacted) | undefined
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
      if (batch.length > 0) {
        const records = await this.#redacted(batch)
        if (records.length > 0) await this.#send(records)
        for (const { bytes } of batch) this.#bytes -= bytes
      } else if (this.#state === 'open') await new Promise<void>((resolve) => (this.#wake = resolve))
      else return
    }
  }

  /** What may be published of a batch. */
  async #redacted(batch: readonly Queued[]): Promise<NewRecord[]> {
    const { redact } = this.#options
    const records = batch.map(({ record }) => record)
    if (redact === undefined) return records
    const published: NewRecord[] = []
    for (const [i, record] of records.entries()) {
      // Between two windows everything else has its turn.
      await nextTurn()
      if (this.#giveUp.signal.aborted) {
        this.#shed('shutdown', records.length - i)
        break
      }
      const value = this.#allowed(redact(record.value!), record.value!)
      if (value !== undefined) published.push({ ...record, value })
    }
    return published
  }

  #allowed(redacted: Redacted, value: Uint8Array): Uint8Array | undefined {
    const { logger, metrics } = this.#options
    if (redacted.kind === 'kept') return value
    metrics.redacted.add({ result: redacted.kind })
    if (redacted.kind === 'failed') {
      logger.error('redaction failed, window dropped', { failure: placeOf(redacted.error) })
    }
    if (redacted.kind !== 'changed') return undefined
    if (redacted.value.length <= topics.tokenDistributions.maxRecordBytes) return redacted.value
    this.#shed('too_large', 1)
    return undefined
  }

  async #send(records: readonly NewRecord[]): Promise<void> {
    const { logger, metrics } = this.#options
    const { signal } = this.#giveUp
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
      if (signal.aborted) {
        this.#shed('shutdown', records.length)
        break
      }
      try {
        await untilAborted(this.#producer.send(topics.tokenDistributions.name, records), signal)
        metrics.published.add({}, records.length)
        break
      } catch (error) {
        if (signal.aborted) continue
        if (!(error instanceof PlateauError && error.retryable)) {
          logger.error('windows refused by the event log', { windows: records.length, error })
          this.#shed('refused', records.length)
          break
        }
        logger.warn('could not publish windows, trying again', { windows: records.length, waitMs, error })
        await sleep(waitMs, undefined, { signal }).catch(() => {})
      }
    }
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
