/** One sequence that gradients may use. */
export interface ReplayItem<T> {
  readonly item: T
  /** Positions in it. */
  readonly size: number
  /** How many steps have used it; 0 = fresh. */
  uses: number
}

export interface ReplayOptions {
  /** The oldest items leave when the window holds more positions than this. */
  readonly maxPositions: number
  /** An item leaves the draw after this many steps. */
  readonly maxUses: number
  /** Share of a step's items that are replayed ones, where there are any. */
  readonly replayShare: number
}

/**
 * The bounded past that gradient steps draw from. Every item is fresh once: the step that first uses it. The newest
 * fresh items come first, so that a step that cannot keep up follows what is served now. After that an item comes back
 * at random, at most `maxUses` times in all, until it is too old.
 */
export class ReplayWindow<T> {
  readonly #options: ReplayOptions
  #items: ReplayItem<T>[] = []
  #positions = 0

  constructor(options: ReplayOptions) {
    this.#options = options
  }

  get items(): readonly ReplayItem<T>[] {
    return this.#items
  }

  get positions(): number {
    return this.#positions
  }

  push(item: T, size: number, uses = 0): void {
    this.#items.push({ item, size, uses })
    this.#positions += size
    let gone = 0
    while (this.#positions > this.#options.maxPositions && gone < this.#items.length - 1) {
      this.#positions -= this.#items[gone++]!.size
    }
    if (gone > 0) this.#items = this.#items.slice(gone)
  }

  /**
   * At most `count` different items for one step, of those that `serves` it; their uses already counted. Fewer when there
   * are no more.
   */
  draw(
    count: number,
    random: () => number,
    serves: (item: T) => boolean = () => true,
  ): { readonly item: T; readonly size: number; readonly fresh: boolean }[] {
    const serving = this.#items.filter(({ item }) => serves(item))
    const fresh = serving.filter(({ uses }) => uses === 0)
    const used = serving.filter(({ uses }) => uses > 0 && uses < this.#options.maxUses)
    const replayed = Math.min(
      used.length,
      Math.max(Math.round(count * this.#options.replayShare), count - fresh.length),
    )
    const chosen = [...lastOf(fresh, count - replayed), ...drawWithout(used, replayed, random)]
    return chosen.map((entry) => {
      const isFresh = entry.uses === 0
      entry.uses++
      return { item: entry.item, size: entry.size, fresh: isFresh }
    })
  }
}

function lastOf<E>(from: readonly E[], count: number): E[] {
  return from.slice(from.length - Math.min(count, from.length))
}

/** `count` different elements: the first steps of a Fisher-Yates shuffle. */
function drawWithout<E>(from: E[], count: number, random: () => number): E[] {
  for (let i = 0; i < count; i++) {
    const j = i + Math.floor(random() * (from.length - i))
    ;[from[i], from[j]] = [from[j]!, from[i]!]
  }
  return from.slice(0, count)
}
