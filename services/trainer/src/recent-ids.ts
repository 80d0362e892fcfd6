/** The newest ids of one partition: a record that the log or its producer repeats comes soon after the first one. */
export class RecentIds {
  readonly #ids: Set<string>
  readonly #max: number

  constructor(max: number, ids: Iterable<string> = []) {
    this.#max = max
    this.#ids = new Set(ids)
  }

  /** False when the id was there already. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false
    this.#ids.add(id)
    // A Set keeps the order of insertion: the first one is the oldest.
    if (this.#ids.size > this.#max) this.#ids.delete(this.#ids.values().next().value!)
    return true
  }

  values(): string[] {
    return [...this.#ids]
  }
}
