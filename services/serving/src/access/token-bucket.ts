/**
 * So many units a minute, and as many at once: full at the start, refilled steadily. Time is passed in, in milliseconds of
 * any monotonic clock.
 */
export class TokenBucket {
  #perMinute: number
  #level: number
  #atMs: number

  constructor(perMinute: number, nowMs: number) {
    this.#perMinute = perMinute
    this.#level = perMinute
    this.#atMs = nowMs
  }

  get perMinute(): number {
    return this.#perMinute
  }

  /** Another rate from now on. What was used stays used. */
  resize(perMinute: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#level += perMinute - this.#perMinute
    this.#perMinute = perMinute
  }

  /** Milliseconds until `amount` fits; 0 = now; Infinity = never, it is more than a full bucket. */
  waitMs(amount: number, nowMs: number): number {
    if (amount > this.#perMinute) return Infinity
    this.#refill(nowMs)
    return (Math.max(0, amount - this.#level) * 60_000) / this.#perMinute
  }

  take(amount: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#level -= amount
  }

  /** What was taken and not used. */
  giveBack(amount: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#level = Math.min(this.#perMinute, this.#level + amount)
  }

  #refill(nowMs: number): void {
    const grown = (Math.max(0, nowMs - this.#atMs) * this.#perMinute) / 60_000
    this.#level = Math.min(this.#perMinute, this.#level + grown)
    this.#atMs = Math.max(this.#atMs, nowMs)
  }
}
