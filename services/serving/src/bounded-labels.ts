/** Keeps the first `max` names apart and calls all further ones "other": names come from clients and have no end. */
export class BoundedLabels {
  readonly #max: number
  readonly #known = new Set<string>()

  constructor(max: number) {
    this.#max = max
  }

  of(name: string): string {
    if (this.#known.has(name)) return name
    if (this.#known.size >= this.#max) return 'other'
    this.#known.add(name)
    return name
  }
}
