/**
 * Proposals copied from the text itself: where the last tokens have occurred before, what followed them then is proposed
 * again (Saxena, "Prompt Lookup Decoding", 2023). Free, and good where a response repeats its prompt: code that is edited,
 * text that is quoted.
 *
 * Every token costs the same small time: a table of pairs of tokens says where a pair occurred last, and a match goes on
 * as long as the text does what it did before, so its length is known without looking back.
 */
export interface LookupOffer {
  /** Tokens before the end of the text that agree with those before the copied place: the more, the better the copy. */
  readonly matched: number
  /** At most as many as were asked for. */
  readonly tokens: readonly number[]
}

/** A pair is the shortest match: a single token occurs too often to say anything. */
export const SHORTEST_MATCH = 2
/** Further agreement says nothing more. */
export const LONGEST_MATCH = 16

export class PromptLookup {
  /** The last tokens; token t lies at t mod capacity. */
  readonly #text: Int32Array
  /** By hash of a pair: the position after it, where it occurred last. A pair may displace another. */
  readonly #after: Int32Array
  #length = 0
  /** Position that would continue the match; 0 = no match. */
  #copy = 0
  #matched = 0

  /** `capacity`: how many tokens back it looks; a power of two. */
  constructor(tokens: readonly number[], capacity: number) {
    if (capacity < 2 || (capacity & (capacity - 1)) !== 0)
      throw new RangeError(`${capacity} is no power of two above 1`)
    this.#text = new Int32Array(capacity)
    this.#after = new Int32Array(2 * capacity)
    this.append(tokens)
  }

  append(tokens: readonly number[]): void {
    // What would be overwritten at once need not be written.
    for (let i = Math.max(0, tokens.length - this.#text.length); i < tokens.length; i++) this.#append(tokens[i]!)
  }

  /** What came after the end of the text the last time; undefined where nothing is known to have. */
  offer(count: number): LookupOffer | undefined {
    if (this.#matched < SHORTEST_MATCH || count < 1) return undefined
    const tokens: number[] = []
    for (let at = this.#copy; tokens.length < count; at++) {
      // Past its own end the text repeats itself: then the copy goes on with what it has copied.
      tokens.push(at < this.#length ? this.#at(at) : tokens[at - this.#length]!)
    }
    return { matched: this.#matched, tokens }
  }

  #append(token: number): void {
    const goesOn = this.#matched > 0 && this.#isHeld(this.#copy) && this.#at(this.#copy) === token
    const before = this.#length === 0 ? -1 : this.#at(this.#length - 1)
    this.#text[this.#length++ & (this.#text.length - 1)] = token
    const slot = this.#slot(before, token)
    if (goesOn) {
      this.#copy++
      this.#matched = Math.min(LONGEST_MATCH, this.#matched + 1)
    } else this.#begin(this.#after[slot]!)
    this.#after[slot] = this.#length
  }

  /** A new match, if the text before `place` really ends as the text does: pairs may share a slot. */
  #begin(place: number): void {
    let matched = 0
    while (
      matched < LONGEST_MATCH &&
      matched < place &&
      this.#isHeld(place - 1 - matched) &&
      this.#at(place - 1 - matched) === this.#at(this.#length - 1 - matched)
    ) {
      matched++
    }
    const found = matched >= SHORTEST_MATCH
    this.#copy = found ? place : 0
    this.#matched = found ? matched : 0
  }

  #at(position: number): number {
    return this.#text[position & (this.#text.length - 1)]!
  }

  #isHeld(position: number): boolean {
    return position > this.#length - this.#text.length - 1 && position >= 0 && position < this.#length
  }

  #slot(first: number, second: number): number {
    const mixed = Math.imul(Math.imul(first, 0x9e3779b1) ^ second, 0x85ebca6b)
    return (mixed ^ (mixed >>> 15)) & (this.#after.length - 1)
  }
}
