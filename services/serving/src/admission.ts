import { cancelled, overloaded } from './request-errors.js'

/** Lets at most `maxConcurrent` requests in; at most `maxWaiting` wait, first come first served; more are refused. */
export class Admission {
  readonly #maxConcurrent: number
  readonly #maxWaiting: number
  readonly #waiting = new Set<() => void>()
  #running = 0

  constructor(limits: { readonly maxConcurrent: number; readonly maxWaiting: number }) {
    this.#maxConcurrent = limits.maxConcurrent
    this.#maxWaiting = limits.maxWaiting
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Resolves with the function that gives the place back. Throws RESOURCE_EXHAUSTED, or CANCELLED when aborted. */
  async enter(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw cancelled()
    if (this.#running >= this.#maxConcurrent) {
      if (this.#waiting.size >= this.#maxWaiting) throw overloaded(this.#waiting.size)
      await this.#turn(signal)
    } else {
      this.#running += 1
    }
    let held = true
    return () => {
      if (held) this.#leave()
      held = false
    }
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abandon = (): void => {
        this.#waiting.delete(proceed)
        reject(cancelled())
      }
      const proceed = (): void => {
        signal.removeEventListener('abort', abandon)
        resolve()
      }
      this.#waiting.add(proceed)
      signal.addEventListener('abort', abandon, { once: true })
    })
  }

  /** The place goes straight to the next in line, so that nobody can slip in between. */
  #leave(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#running -= 1
    } else {
      this.#waiting.delete(next)
      next()
    }
  }
}
