import type { TokenBytes } from './token-bytes.js'

/**
 * Turns ids into text as they come. A character whose bytes are spread over several tokens is emitted when its last byte
 * is there; U+FFFD appears only for bytes that no continuation could complete. All pushes and the flush, joined, are
 * what decoding the ids at once gives.
 */
export class IncrementalDecoder {
  private readonly utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
  private atStart = true

  constructor(private readonly tokens: TokenBytes) {}

  /** The text that is certain now; often empty for a part of a character. */
  push(id: number): string {
    const bytes = this.tokens.bytes[id]
    if (bytes === undefined) throw new RangeError(`token id ${id} is outside the vocabulary`)
    return this.emit(this.utf8.decode(bytes, { stream: true }))
  }

  /** Ends the text: an incomplete character becomes U+FFFD. The decoder then starts anew. */
  flush(): string {
    const rest = this.emit(this.utf8.decode())
    this.atStart = true
    return rest
  }

  private emit(text: string): string {
    if (!this.atStart || text === '') return text
    this.atStart = false
    return this.tokens.stripFirstBlank && text.startsWith(' ') ? text.slice(1) : text
  }
}
