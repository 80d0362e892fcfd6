/**
 * A sequence-numbered stream of windows into token-distributions, beside what real requests capture. It knows exactly
 * which windows the log has acknowledged: those are the ones that must not be lost.
 */
import { encodeHeaders, PlateauError, TokenWindow, topics } from '@plateau/contracts'
import type { EventLog, NewRecord, Producer } from '@plateau/event-log'
import { setTimeout as sleep } from 'node:timers/promises'

/** Windows a second: several partitions are always busy, and a laptop's trainer keeps up. */
const PER_SECOND = 20
const RETRY_MS = 200

export const SEQUENCE_PREFIX = 'seq-'

export class Workload {
  /** Sample ids in the order of their acknowledgement. */
  readonly acknowledged: string[] = []
  readonly #producer: Producer
  readonly #pattern: TokenWindow
  readonly #inFlight = new Set<Promise<void>>()
  #next = 0
  #running = false
  #isAbandoned = false
  #loop: Promise<void> = Promise.resolve()

  /** `pattern` is a window that the running target has captured: what is sent are copies of it under new sample ids. */
  constructor(log: EventLog, pattern: TokenWindow) {
    this.#producer = log.producer({ whenFull: 'wait' })
    this.#pattern = pattern
  }

  start(): void {
    this.#running = true
    this.#loop = this.#run()
  }

  /** Stops sending and waits until everything sent is acknowledged. */
  async stop(): Promise<void> {
    this.#running = false
    await this.#loop
    await Promise.all(this.#inFlight)
  }

  /** Gives up what is not acknowledged yet: for an end in the middle of a scenario, when the log may be away. */
  async abandon(): Promise<void> {
    this.#isAbandoned = true
    this.#running = false
    await this.#loop
  }

  /** One window more, whatever the pace; returns it as it was sent. */
  async sendOne(): Promise<NewRecord> {
    const record = this.#record(this.#next++)
    await this.#untilAcknowledged(record)
    return record
  }

  async #run(): Promise<void> {
    while (this.#running) {
      const sent = this.#untilAcknowledged(this.#record(this.#next++)).finally(() => this.#inFlight.delete(sent))
      this.#inFlight.add(sent)
      await sleep(1000 / PER_SECOND)
    }
  }

  async #untilAcknowledged(record: NewRecord): Promise<void> {
    for (;;) {
      try {
        await this.#producer.send(topics.tokenDistributions.name, [record])
        this.acknowledged.push(record.key)
        return
      } catch (error) {
        if (this.#isAbandoned) return
        if (!(error instanceof PlateauError && error.retryable)) throw error
        await sleep(RETRY_MS)
      }
    }
  }

  #record(sequence: number): NewRecord {
    const sampleId = `${SEQUENCE_PREFIX}${String(sequence).padStart(6, '0')}`
    const capturedAtMs = Date.now()
    const window = { ...this.#pattern, sampleId, windowIndex: 0, startPosition: 0, last: true, capturedAtMs }
    return {
      key: sampleId,
      value: TokenWindow.encode(window).finish(),
      headers: encodeHeaders({
        id: `window:${sampleId}:0`,
        source: '/plateau/faults',
        type: topics.tokenDistributions.messageType,
        timeMs: capturedAtMs,
      }),
      timestampMs: capturedAtMs,
    }
  }
}

/** The first window that the running target has captured. */
export async function firstWindow(log: EventLog): Promise<TokenWindow> {
  const reader = log.reader({ topic: topics.tokenDistributions.name, from: 'earliest' })
  for await (const { records } of reader) return TokenWindow.decode(records[0]!.value!)
  throw new Error('the event log was closed before a window came')
}
