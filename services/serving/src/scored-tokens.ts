import type { target } from '@plateau/contracts'

/** A token of a response's text with its log probabilities. */
export interface ScoredToken {
  readonly id: number
  readonly logprobs: target.TokenLogProbs
  /** Characters (code points) of the response's text before it. */
  readonly offset: number
}

interface PendingToken extends ScoredToken {
  /** The same in UTF-16 units. */
  readonly at: number
}

/**
 * Gives scored tokens out with the text that they begin: what is held back because it may begin a stop string holds its
 * tokens back too, and what a stop string cuts off is not reported. A token without text of its own, one that holds a part
 * of a character or a special one, goes with the text after it.
 */
export class ScoredTokens {
  #pending: PendingToken[] = []
  #decoded = { units: 0, characters: 0 }
  #shown = 0

  /** The next token, before its text. */
  token(id: number, logprobs: target.TokenLogProbs): void {
    this.#pending.push({ id, logprobs, offset: this.#decoded.characters, at: this.#decoded.units })
  }

  /** Text that was decoded; it is shown later, or never. */
  decoded(text: string): void {
    this.#decoded.units += text.length
    for (const _ of text) this.#decoded.characters += 1
  }

  /** The tokens that belong to the next text that is shown. */
  shown(text: string): ScoredToken[] {
    this.#shown += text.length
    const count = this.#pending.findIndex(({ at }) => at >= this.#shown)
    return this.#take(count === -1 ? this.#pending.length : count)
  }

  /** Those that have no text after them, once the response has ended by itself. */
  rest(): ScoredToken[] {
    return this.#take(this.#pending.length)
  }

  #take(count: number): ScoredToken[] {
    return this.#pending.splice(0, count).map(({ id, logprobs, offset }) => ({ id, logprobs, offset }))
  }
}
