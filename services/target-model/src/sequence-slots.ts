import { PlateauError } from '@plateau/contracts'

interface Waiter {
  readonly grant: () => void
}

export interface Place<T> {
  readonly held: T
  /** Closes what holds the place and gives the place to the next in line. Idempotent. */
  close(): void
}

/** A fixed number of places, first come, first served; the line has a bound too. */
export class SequenceSlots {
  readonly #maxActive: number
  readonly #maxWaiting: number
  readonly #line: Waiter[] = []
  #active = 0

  constructor(maxActive: number, maxWaiting: number) {
    this.#maxActive = maxActive
    this.#maxWaiting = maxWaiting
  }

  get active(): number {
    return this.#active
  }

  get waiting(): number {
    return this.#line.length
  }

  /**
   * Waits for a place and makes what will hold it; closing that gives the place back. Throws RESOURCE_EXHAUSTED when the
   * line is full, and the signal's reason when it aborts in the line.
   */
  async take<T extends { close(): void }>(signal: AbortSignal, make: () => T): Promise<Place<T>> {
    signal.throwIfAborted()
    if (this.#active < this.#maxActive) this.#active++
    else await this.#wait(signal)
    try {
      return this.#placeOf(make())
    } catch (error) {
      this.#release()
      throw error
    }
  }

  #placeOf<T extends { close(): void }>(held: T): Place<T> {
    let open = true
    const close = (): void => {
      if (!open) return
      open = false
      held.close()
      this.#release()
    }
    return { held, close }
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#line.length >= this.#maxWaiting) {
      const facts = { active: this.#active, waiting: this.#line.length }
      const message = `${facts.active} responses are being decoded and ${facts.waiting} wait already; try again later`
      throw new PlateauError('RESOURCE_EXHAUSTED', message, { facts, retryable: true })
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#line.splice(this.#line.indexOf(waiter), 1)
        reject(signal.reason as Error)
      }
      const waiter = {
        grant: () => {
          signal.removeEventListener('abort', leave)
          resolve()
        },
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#line.push(waiter)
    })
  }

  /** The place passes straight to the next in line, so that nobody overtakes. */
  #release(): void {
    const next = this.#line.shift()
    if (next) next.grant()
    else this.#active--
  }
}
