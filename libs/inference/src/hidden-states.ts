/** Hidden states of a prompt's tokens, for those who ask for them and for prompts that begin alike: of the last ones only. */
export class HiddenStates {
  /** Of this token on. */
  readonly first: number
  readonly #size: number
  readonly #data: Float32Array
  /** From here on they are known, as far as tokens have been computed. */
  #knownFrom: number

  constructor(tokens: number, keep: number, hiddenSize: number) {
    this.first = Math.max(0, tokens - keep)
    this.#size = hiddenSize
    this.#data = new Float32Array((tokens - this.first) * hiddenSize)
    this.#knownFrom = tokens
  }

  /** Those of tokens from `from` on, [n, hiddenSize]; what is not kept is passed over. */
  set(from: number, rows: Float32Array): void {
    const start = Math.max(from, this.first)
    const kept = rows.subarray((start - from) * this.#size)
    this.#data.set(kept, (start - this.first) * this.#size)
    if (kept.length > 0) this.#knownFrom = Math.min(this.#knownFrom, start)
  }

  /** Nothing is known of the tokens before `to`. */
  forget(to: number): void {
    this.#knownFrom = Math.max(this.#knownFrom, to)
  }

  /** [count, hiddenSize], or undefined where they are not known. */
  of(from: number, count: number): Float32Array | undefined {
    if (from < this.#knownFrom) return undefined
    return this.#data.slice((from - this.first) * this.#size, (from + count - this.first) * this.#size)
  }
}
