import { encodeHeaders, PlateauError, Rollout, topics, type RolloutState } from '@plateau/contracts'
import { untilAborted, type NewRecord, type Producer } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

export interface RolloutReporterOptions {
  readonly lineage: string
  /** Which serving process. */
  readonly server: string
  readonly producer: Producer
  readonly logger: Logger
  readonly clock: () => number
  /** Records that wait for the log at most; above it the oldest is dropped, and said. Default 256. */
  readonly maxWaiting?: number
}

export interface RolloutDetails {
  readonly swapMs?: number
  /** Of the span that did it. */
  readonly traceparent?: string | undefined
}

const FIRST_WAIT_MS = 200
const LONGEST_WAIT_MS = 5_000

/**
 * Says on the rollouts topic what happened to a version, in order. A record stays as it was first tried, `ce_id` and all,
 * until the log has it: one that is there twice is known by its id. A log that is down delays the records, never the swap.
 *
 *     open ──close──▶ closing (tries what waits, at most that long) ──▶ closed
 */
export class RolloutReporter {
  readonly #options: RolloutReporterOptions
  readonly #waiting: NewRecord[] = []
  readonly #giveUp = new AbortController()
  #sending: Promise<void> | undefined

  constructor(options: RolloutReporterOptions) {
    this.#options = options
  }

  report(version: number, state: RolloutState, reason: string, details: RolloutDetails = {}): void {
    const { lineage, server, clock, logger, maxWaiting = 256 } = this.#options
    const { swapMs = 0, traceparent } = details
    const atMs = clock()
    const rollout: Rollout = {
      schemaVersion: 1,
      lineage,
      version,
      state,
      reason,
      server,
      atMs,
      swapMs: Math.round(swapMs),
      otherVersion: 0,
      evidence: undefined,
      orderedBy: '',
    }
    const headers = encodeHeaders({
      id: randomUUID(),
      source: '/plateau/serving',
      type: topics.rollouts.messageType,
      timeMs: atMs,
      subject: lineage,
      traceparent,
    })
    this.#waiting.push({ key: lineage, value: Rollout.encode(rollout).finish(), headers })
    if (this.#waiting.length > maxWaiting) {
      this.#waiting.shift()
      logger.error('rollout not recorded: too many wait for the log', { waiting: maxWaiting })
    }
    this.#sending ??= this.#sendAll()
  }

  /** Tries what waits for at most `withinMs`. Idempotent. */
  async close(withinMs: number): Promise<void> {
    const timer = setTimeout(() => this.#giveUp.abort(), withinMs)
    await this.#sending
    clearTimeout(timer)
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!(await this.#send(next))) break
      // Unless it was dropped meanwhile.
      if (this.#waiting[0] === next) this.#waiting.shift()
    }
    const left = this.#waiting.splice(0).length
    if (left > 0) this.#options.logger.error('rollouts not recorded', { records: left })
    // In the same turn as the last look: a report that comes later starts anew.
    this.#sending = undefined
  }

  /** True when the log has it, or refuses it for good; false when there is no more time. */
  async #send(record: NewRecord): Promise<boolean> {
    const { producer, logger } = this.#options
    const { signal } = this.#giveUp
    for (let waitMs = FIRST_WAIT_MS; !signal.aborted; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
      try {
        await untilAborted(producer.send(topics.rollouts.name, [record]), signal)
        return true
      } catch (error) {
        if (signal.aborted) return false
        if (!(error instanceof PlateauError && error.retryable)) {
          logger.error('rollout refused by the log', { error })
          return true
        }
        logger.warn('rollout not recorded yet, trying again', { waitMs, error })
        await sleep(waitMs, undefined, { signal }).catch(() => {})
      }
    }
    return false
  }
}
