/** A value for each declared label. */
export type Labels<L extends string> = Readonly<Record<L, string>>

export const OVERFLOW = 'other'

/** One metric's values by label combination, at most `maxSeries` of them; what is above counts under "other". */
export class Series<L extends string, V> {
  readonly #name: string
  readonly #labels: readonly L[]
  readonly #maxSeries: number
  readonly #create: () => V
  readonly #values = new Map<string, { readonly labels: Labels<L>; readonly value: V }>()

  constructor(
    spec: { readonly name: string; readonly labels?: readonly L[]; readonly maxSeries?: number },
    create: () => V,
  ) {
    this.#name = spec.name
    this.#labels = spec.labels ?? []
    this.#maxSeries = spec.maxSeries ?? 500
    this.#create = create
    // A metric without labels shows from the start, at zero: a rate over a missing series is nothing at all.
    if (this.#labels.length === 0) this.at({} as Labels<L>)
  }

  at(labels: Labels<L>): V {
    for (const label of this.#labels) {
      if (labels[label] === undefined) throw new RangeError(`label ${label} of metric ${this.#name} is missing`)
    }
    const key = labelKey(this.#labels, labels)
    const found = this.#values.get(key)
    if (found !== undefined) return found.value
    if (this.#values.size >= this.#maxSeries) {
      const overflow = Object.fromEntries(this.#labels.map((label) => [label, OVERFLOW])) as Labels<L>
      return this.#insert(labelKey(this.#labels, overflow), overflow)
    }
    return this.#insert(key, labels)
  }

  peek(labels: Labels<L>): V | undefined {
    return this.#values.get(labelKey(this.#labels, labels))?.value
  }

  remove(match: Partial<Labels<L>>): void {
    const wanted = Object.entries(match) as [L, string][]
    for (const [key, { labels }] of this.#values) {
      if (wanted.every(([label, value]) => labels[label] === value)) this.#values.delete(key)
    }
  }

  points<P>(read: (value: V) => P): { labels: Readonly<Record<string, string>>; value: P }[] {
    return Array.from(this.#values.values(), ({ labels, value }) => ({ labels, value: read(value) }))
  }

  #insert(key: string, labels: Labels<L>): V {
    const present = this.#values.get(key)
    if (present !== undefined) return present.value
    const value = this.#create()
    const declared = Object.fromEntries(this.#labels.map((label) => [label, labels[label]])) as Labels<L>
    this.#values.set(key, { labels: declared, value })
    return value
  }
}

export function labelKey<L extends string>(names: readonly L[] | undefined, labels: Labels<L>): string {
  return (names ?? []).map((name) => labels[name]).join('\u0000')
}
