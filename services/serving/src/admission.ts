import { cancelled, overloaded } from './request-errors.js'

export interface AdmissionOptions {
  readonly maxConcurrent: number
  readonly maxWaiting: number
  /** Who has waited so long is refused. */
  readonly maxQueueMs: number
  /** Monotonic milliseconds. */
  readonly nowMs: () => number
}

/** How much the newest response counts in the mean of recent ones. */
const NEWEST = 1 / 8
const MAX_RETRY_SECONDS = 600

/**
 * Lets at most `maxConcurrent` responses in; at most `maxWaiting` wait, first come first served, and none for longer than
 * `maxQueueMs`; more are refused and hear when to come back.
 */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #waiting = new Set<() => void>()
  #running = 0
  #responseMs: number | undefined

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** How long responses took lately; 0 before the first one has ended. */
  get responseMs(): number {
    return this.#responseMs ?? 0
  }

  /** Responses that can be here at once, running or waiting. */
  get capacity(): number {
    return this.#options.maxConcurrent + this.#options.maxWaiting
  }

  /** Resolves with the function that gives the place back. Throws RESOURCE_EXHAUSTED, or CANCELLED when aborted. */
  async enter(signal: AbortSignal): Promise<() => void> {
    const { maxConcurrent, maxWaiting, nowMs } = this.#options
    if (signal.aborted) throw cancelled()
    if (this.#running >= maxConcurrent) {
      if (this.#waiting.size >= maxWaiting) throw overloaded('queue_full', this.#waiting.size, this.#retryMs())
      await this.#turn(signal)
    } else {
      this.#running += 1
    }
    const startedMs = nowMs()
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#observe(nowMs() - startedMs)
      this.#leave()
    }
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leaveQueue = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', abandon)
        this.#waiting.delete(proceed)
      }
      const proceed = (): void => {
        leaveQueue()
        resolve()
      }
      const abandon = (): void => {
        leaveQueue()
        reject(cancelled())
      }
      const giveUp = (): void => {
        leaveQueue()
        reject(overloaded('queue_wait', this.#waiting.size, this.#retryMs()))
      }
      const timer = setTimeout(giveUp, this.#options.maxQueueMs)
      this.#waiting.add(proceed)
      signal.addEventListener('abort', abandon, { once: true })
    })
  }

  /** The place goes straight to the next in line, so that nobody can slip in between. */
  #leave(): void {
    const [next] = this.#waiting
    if (next === undefined) this.#running -= 1
    else next()
  }

  #observe(tookMs: number): void {
    this.#responseMs = this.#responseMs === undefined ? tookMs : this.#responseMs + NEWEST * (tookMs - this.#responseMs)
  }

  /** Until whoever came now would have its turn: one response after the other in each place. */
  #retryMs(): number {
    const turnMs = ((this.#waiting.size + 1) * this.responseMs) / this.#options.maxConcurrent
    return Math.min(MAX_RETRY_SECONDS * 1000, turnMs)
  }
}
