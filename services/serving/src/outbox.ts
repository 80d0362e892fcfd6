import { PlateauError } from '@plateau/contracts'
import { untilAborted, type NewRecord, type Producer } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { setTimeout as sleep } from 'node:timers/promises'

export interface OutboxOptions {
  readonly producer: Producer
  readonly logger: Logger
  /** Records that wait for the log at most; above it the oldest is dropped, and said. Default 256. */
  readonly maxWaiting?: number
}

interface Waiting {
  readonly topic: string
  readonly record: NewRecord
}

const FIRST_WAIT_MS = 200
const LONGEST_WAIT_MS = 5_000

/**
 * Records that must reach the log, in order, and hold nothing up. A record stays as it was first tried, `ce_id` and all,
 * until the log has it: one that is there twice is known by its id.
 *
 *     open ──close──▶ closing (tries what waits, at most that long) ──▶ closed
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #waiting: Waiting[] = []
  readonly #giveUp = new AbortController()
  #sending: Promise<void> | undefined

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  add(topic: string, record: NewRecord): void {
    const { logger, maxWaiting = 256 } = this.#options
    this.#waiting.push({ topic, record })
    if (this.#waiting.length > maxWaiting) {
      this.#waiting.shift()
      logger.error('record not sent: too many wait for the log', { topic, waiting: maxWaiting })
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
    if (left > 0) this.#options.logger.error('records not sent', { records: left })
    // In the same turn as the last look: a record that comes later starts anew.
    this.#sending = undefined
  }

  /** True when the log has it, or refuses it for good; false when there is no more time. */
  async #send({ topic, record }: Waiting): Promise<boolean> {
    const { producer, logger } = this.#options
    const { signal } = this.#giveUp
    for (let waitMs = FIRST_WAIT_MS; !signal.aborted; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
      try {
        await untilAborted(producer.send(topic, [record]), signal)
        return true
      } catch (error) {
        if (signal.aborted) return false
        if (!(error instanceof PlateauError && error.retryable)) {
          logger.error('record refused by the log', { topic, error })
          return true
        }
        logger.warn('record not sent yet, trying again', { topic, waitMs, error })
        await sleep(waitMs, undefined, { signal }).catch(() => {})
      }
    }
    return false
  }
}
