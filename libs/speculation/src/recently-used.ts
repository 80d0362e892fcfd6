/** Values by name, at most so many: the one that was asked for longest ago gives way. */
export class RecentlyUsed<V> {
  readonly #most: number
  readonly #values = new Map<string, V>()

  constructor(most: number) {
    this.#most = most
  }

  of(name: string, create: () => V): V {
    const value = this.#values.get(name) ?? create()
    this.#values.delete(name)
    this.#values.set(name, value)
    if (this.#values.size > this.#most) this.#values.delete(this.#values.keys().next().value!)
    return value
  }

  values(): Iterable<V> {
    return this.#values.values()
  }
}
