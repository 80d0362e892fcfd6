/** Remembers the newest `capacity` ids: redelivery repeats what is recent, and memory must not grow with the export. */
export class SeenIds {
  readonly #capacity: number
  readonly #ids = new Set<string>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** False when it is remembered already. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false
    this.#ids.add(id)
    // A set keeps the order of insertion: its first one is the oldest.
    const [oldest] = this.#ids
    if (this.#ids.size > this.#capacity) this.#ids.delete(oldest!)
    return true
  }
}
