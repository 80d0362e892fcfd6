/**
 * Ends a text at the first of several stop strings, which is not part of it. Text arrives in pieces; whatever could be
 * the beginning of a stop string is held back until the next piece decides.
 */
export class StopScanner {
  readonly #stops: readonly string[]
  #held = ''

  /** Stop strings must not be empty. */
  constructor(stops: readonly string[]) {
    this.#stops = stops
  }

  /** The text that is certain now, and whether it ends here. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    const pending = this.#held + text
    const at = Math.min(...this.#stops.map((stop) => pending.indexOf(stop)).filter((index) => index >= 0))
    if (at !== Infinity) {
      this.#held = ''
      return { text: pending.slice(0, at), stopped: true }
    }
    const certain = pending.length - this.#undecided(pending)
    this.#held = pending.slice(certain)
    return { text: pending.slice(0, certain), stopped: false }
  }

  /** What was held back, once nothing follows. */
  flush(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }

  /** Length of the longest end of `text` that begins a stop string. */
  #undecided(text: string): number {
    let longest = 0
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length
      }
    }
    return longest
  }
}
