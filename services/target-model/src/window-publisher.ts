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
import { messagingAttributes, startSpan, type Logger, type WorkSpan } from '@plateau/telemetry'
import type { ShedReason, TargetMetrics } from './metrics.js'
import { placeOf, type Redacted } from './redaction.js'

/** Records sent at once: enough to share a commit, few enough that acknowledgements come steadily. */
const BATCH_RECORDS = 32
const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 5000

interface Queued {
  readonly record: NewRecord
  readonly bytes: number
  /** Until the log has acknowledged it, or it is shed. */
  readonly span: WorkSpan<'send {topic}'>
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
    const span = startSpan('send {topic}', {
      of: { topic: topics.tokenDistributions.name },
      parent: traceparent,
      attributes: {
        ...messagingAttributes('send', topics.tokenDistributions.name),
        'plateau.sample.id': window.sampleId,
      },
    })
    if (this.#state !== 'open') return this.#shed('shutdown', [span])
    // A full queue must not cost the encoding as well.
    if (this.#bytes >= maxQueueBytes) return this.#shed('queue_full', [span])
    const record = recordOf(window, span.traceparent)
    const bytes = record.value!.length + record.key.length
    if (bytes > topics.tokenDistributions.maxRecordBytes) return this.#shed('too_large', [span])
    if (this.#bytes + bytes > maxQueueBytes) return this.#shed('queue_full', [span])
    this.#queue.push({ record, bytes, span })
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
        const allowed = await this.#redacted(batch)
        if (allowed.length > 0) await this.#send(allowed)
        for (const { bytes } of batch) this.#bytes -= bytes
      } else if (this.#state === 'open') await new Promise<void>((resolve) => (this.#wake = resolve))
      else return
    }
  }

  /** What may be published of a batch. */
  async #redacted(batch: readonly Queued[]): Promise<readonly Queued[]> {
    const { redact } = this.#options
    if (redact === undefined) return batch
    const allowed: Queued[] = []
    for (const [i, queued] of batch.entries()) {
      // Between two windows everything else has its turn.
      await nextTurn()
      if (this.#giveUp.signal.aborted) {
        this.#shed(
          'shutdown',
          batch.slice(i).map(({ span }) => span),
        )
        break
      }
      const { record, span } = queued
      const value = this.#allowed(redact(record.value!), record.value!, span)
      if (value === undefined) leave(span, 'redacted')
      else allowed.push({ ...queued, record: { ...record, value } })
    }
    return allowed
  }

  #allowed(redacted: Redacted, value: Uint8Array, span: Queued['span']): Uint8Array | undefined {
    const { logger, metrics } = this.#options
    if (redacted.kind === 'kept') return value
    metrics.redacted.add({ result: redacted.kind })
    if (redacted.kind === 'failed') {
      logger.error('redaction failed, window dropped', { failure: placeOf(redacted.error) })
    }
    if (redacted.kind !== 'changed') return undefined
    if (redacted.value.length <= topics.tokenDistributions.maxRecordBytes) return redacted.value
    this.#shed('too_large', [span])
    return undefined
  }

  async #send(batch: readonly Queued[]): Promise<void> {
    const { logger, metrics } = this.#options
    const records = batch.map(({ record }) => record)
    const spans = batch.map(({ span }) => span)
    const { signal } = this.#giveUp
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
      if (signal.aborted) {
        this.#shed('shutdown', spans)
        break
      }
      try {
        await untilAborted(this.#producer.send(topics.tokenDistributions.name, records), signal)
        metrics.published.add({}, records.length)
        for (const span of spans) span.end()
        break
      } catch (error) {
        if (signal.aborted) continue
        if (!(error instanceof PlateauError && error.retryable)) {
          logger.error('windows refused by the event log', { windows: records.length, error })
          this.#shed('refused', spans)
          break
        }
        logger.warn('could not publish windows, trying again', { windows: records.length, waitMs, error })
        await sleep(waitMs, undefined, { signal }).catch(() => {})
      }
    }
  }

  #shed(reason: ShedReason, spans: readonly Queued['span'][]): void {
    this.#options.metrics.shed.add({ reason }, spans.length)
    for (const span of spans) leave(span, reason)
  }
}

/** The window will not be published. The first reason counts. */
function leave(span: Queued['span'], reason: ShedReason | 'redacted'): void {
  span.set({ 'plateau.capture.shed': reason })
  span.end()
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
