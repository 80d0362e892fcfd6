import { PlateauError } from '@plateau/contracts'
import type { ProducerOptions } from '../event-log.js'

const DEFAULT_MAX_BYTES_IN_FLIGHT = 8 * 1024 * 1024

interface Waiter {
  readonly bytes: number
  readonly start: () => void
}

/** Bounds the bytes that a producer has accepted and not yet made durable, as `ProducerOptions` say. */
export class Admission {
  readonly #maxBytes: number
  readonly #sheds: boolean
  readonly #waiters: Waiter[] = []
  #bytesInFlight = 0

  constructor({ maxBytesInFlight, whenFull }: ProducerOptions) {
    this.#maxBytes = maxBytesInFlight ?? DEFAULT_MAX_BYTES_IN_FLIGHT
    this.#sheds = whenFull === 'shed'
  }

  get bytesInFlight(): number {
    return this.#bytesInFlight
  }

  /** Carries `bytes` to `topic` by `append`, as soon as there is room; the room is free again when that has settled. */
  async admit<T>(topic: string, bytes: number, append: () => Promise<T>): Promise<T> {
    if (this.#sheds && !this.#hasRoomFor(bytes)) throw this.#full(topic, bytes)
    try {
      return await this.#whenRoom(bytes, append)
    } finally {
      this.#bytesInFlight -= bytes
      this.#admitWaiting()
    }
  }

  /**
   * First come, first served, and each is started inside this call or inside the one that made room: one turn later
   * another send could overtake it, and the records of a partition would change their order.
   */
  #whenRoom<T>(bytes: number, start: () => Promise<T>): Promise<T> {
    if (this.#waiters.length === 0 && this.#hasRoomFor(bytes)) {
      this.#bytesInFlight += bytes
      return start()
    }
    return new Promise((resolve) => this.#waiters.push({ bytes, start: () => resolve(start()) }))
  }

  #admitWaiting(): void {
    for (let first = this.#waiters[0]; first !== undefined && this.#hasRoomFor(first.bytes); first = this.#waiters[0]) {
      this.#waiters.shift()
      this.#bytesInFlight += first.bytes
      first.start()
    }
  }

  /** One send larger than the bound may go alone: otherwise it would wait for ever. */
  #hasRoomFor(bytes: number): boolean {
    return this.#bytesInFlight === 0 || this.#bytesInFlight + bytes <= this.#maxBytes
  }

  #full(topic: string, bytes: number): PlateauError {
    return new PlateauError(
      'PRODUCER_FULL',
      `${this.#bytesInFlight} bytes are on their way to the event log, and ${this.#maxBytes} may be: ${bytes} more ` +
        `for ${topic} were refused.`,
      { facts: { topic, bytes, bytesInFlight: this.#bytesInFlight, maxBytes: this.#maxBytes }, retryable: true },
    )
  }
}
