import { byteAlphabet, preTokens } from './tokenizer-words.js'

/**
 * Encodes whole corpora: a text's words repeat, so each is merged once and remembered. Does not look for special tokens
 * inside the text. Equal token by token to the general tokenizer that serves requests (a test compares them).
 */
export class BytePairEncoder {
  readonly vocabSize: number
  private readonly byteIds: number[]
  /** Rank and merged id by pair of ids. */
  private readonly merges = new Map<number, { readonly rank: number; readonly merged: number }>()
  private readonly known = new Map<string, Uint16Array>()

  constructor(
    private readonly vocabulary: ReadonlyMap<string, number>,
    merges: readonly (readonly [string, string])[],
    specialTokens: readonly string[],
  ) {
    this.vocabSize = new Set([...vocabulary.values(), ...specialTokens.map((token) => this.idOf(token))]).size
    if (this.vocabSize > 65_536) throw new RangeError(`${this.vocabSize} tokens do not fit 16-bit ids`)
    this.byteIds = byteAlphabet().map((symbol) => this.idOf(symbol))
    merges.forEach(([left, right], rank) => {
      this.merges.set(this.idOf(left) * 65_536 + this.idOf(right), { rank, merged: this.idOf(left + right) })
    })
  }

  idOf(token: string): number {
    const id = this.vocabulary.get(token)
    if (id === undefined) throw new RangeError(`the vocabulary has no token ${JSON.stringify(token)}`)
    return id
  }

  /** The ids of the text, and `after` behind them when given. */
  encode(text: string, after?: number): Uint16Array {
    const words = preTokens(text).map((word) => this.encodeWord(word))
    const length = words.reduce((sum, ids) => sum + ids.length, 0)
    const out = new Uint16Array(length + (after === undefined ? 0 : 1))
    let at = 0
    for (const ids of words) {
      out.set(ids, at)
      at += ids.length
    }
    if (after !== undefined) out[at] = after
    return out
  }

  private encodeWord(word: string): Uint16Array {
    let ids = this.known.get(word)
    if (ids === undefined) {
      ids = Uint16Array.from(this.mergeAll(Array.from(Buffer.from(word, 'utf8'), (byte) => this.byteIds[byte]!)))
      this.known.set(word, ids)
    }
    return ids
  }

  private mergeAll(ids: number[]): number[] {
    for (;;) {
      let best: { readonly rank: number; readonly merged: number } | undefined
      let at = -1
      for (let i = 0; i + 1 < ids.length; i++) {
        const merge = this.merges.get(ids[i]! * 65_536 + ids[i + 1]!)
        if (merge !== undefined && (best === undefined || merge.rank < best.rank)) {
          best = merge
          at = i
        }
      }
      if (best === undefined) return ids
      ids.splice(at, 2, best.merged)
    }
  }
}
