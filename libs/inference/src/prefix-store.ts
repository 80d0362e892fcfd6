/**
 * Keys and values of prompts' beginnings, so that a prompt that begins like an earlier one copies them instead of
 * computing them. Tokens are cut into blocks; a block is known by its own tokens and the block before it, compared
 * exactly. Texts of different scopes share nothing: how fast an answer begins tells nobody what others have asked.
 * Bounded: the block that was used longest ago goes first, and one never before those that follow it.
 */
import { kvRowBytes, type KvShape } from './kv-arena.js'

/** Tokens of a block: only whole ones are kept and found. */
export const prefixBlockTokens = 16

export interface PrefixBlock {
  /** [layers * 2, kvHeads, 16, headDim] */
  readonly data: Float32Array
  /** Hidden states [16, hiddenSize], where they are known. */
  readonly features: Float32Array | undefined
}

interface Stored extends PrefixBlock {
  readonly id: number
  readonly key: string
  features: Float32Array | undefined
}

export class PrefixStore {
  readonly maxBytes: number
  readonly #shape: KvShape
  /** In order of use, the longest unused first. */
  readonly #blocks = new Map<string, Stored>()
  #nextId = 1
  #bytes = 0

  constructor(shape: KvShape, maxBytes: number) {
    this.#shape = shape
    this.maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The blocks that `tokens` begins with, as far as they are known in `scope` and `accepts` takes them. */
  find(
    scope: string,
    tokens: readonly number[],
    accepts: (block: PrefixBlock, index: number) => boolean,
  ): PrefixBlock[] {
    const found: Stored[] = []
    for (let index = 0; (index + 1) * prefixBlockTokens <= tokens.length; index++) {
      const block = this.#blocks.get(keyOf(scope, tokens, index, found.at(-1)))
      if (!block || !accepts(block, index)) break
      found.push(block)
    }
    this.#touch(found)
    return found
  }

  /**
   * Keeps the blocks of `tokens` that it does not know yet, as far as they fit `freeBytes` and its own bound. `read` fills
   * in a block's keys and values, `featuresOf` gives its hidden states.
   */
  add(
    scope: string,
    tokens: readonly number[],
    freeBytes: number,
    read: (index: number, into: Float32Array) => void,
    featuresOf: (index: number) => Float32Array | undefined,
  ): void {
    const chain: Stored[] = []
    const size = prefixBlockTokens * kvRowBytes(this.#shape)
    for (let index = 0; (index + 1) * prefixBlockTokens <= tokens.length; index++) {
      const key = keyOf(scope, tokens, index, chain.at(-1))
      const known = this.#blocks.get(key)
      if (known) {
        chain.push(known)
        if (!known.features) freeBytes -= this.#addFeatures(known, freeBytes, featuresOf(index))
        continue
      }
      const features = featuresOf(index)
      const bytes = size + (features?.byteLength ?? 0)
      const room = () => Math.min(this.maxBytes - this.#bytes, freeBytes)
      while (room() < bytes && this.#oldestBeside(chain)) freeBytes += this.evictOldest()
      if (room() < bytes) break
      const data = new Float32Array(size / Float32Array.BYTES_PER_ELEMENT)
      read(index, data)
      const block = { id: this.#nextId++, key, data, features }
      this.#blocks.set(key, block)
      this.#bytes += bytes
      freeBytes -= bytes
      chain.push(block)
    }
    this.#touch(chain)
  }

  /** Bytes that it gave back: 0 when there is nothing left. */
  evictOldest(): number {
    const [oldest] = this.#blocks.values()
    if (!oldest) return 0
    this.#blocks.delete(oldest.key)
    const bytes = oldest.data.byteLength + (oldest.features?.byteLength ?? 0)
    this.#bytes -= bytes
    return bytes
  }

  #addFeatures(block: Stored, freeBytes: number, features: Float32Array | undefined): number {
    const bytes = features?.byteLength ?? 0
    if (bytes > Math.min(freeBytes, this.maxBytes - this.#bytes)) return 0
    block.features = features
    this.#bytes += bytes
    return bytes
  }

  #oldestBeside(chain: readonly Stored[]): boolean {
    const [oldest] = this.#blocks.values()
    return oldest !== undefined && !chain.includes(oldest)
  }

  /** Last block first, so that a block is always used later than those that follow it. */
  #touch(chain: readonly Stored[]): void {
    for (const block of chain.toReversed()) {
      this.#blocks.delete(block.key)
      this.#blocks.set(block.key, block)
    }
  }
}

/** A first block is its scope's; those that follow it are so by what precedes them. */
function keyOf(scope: string, tokens: readonly number[], index: number, before: Stored | undefined): string {
  const own = tokens.slice(index * prefixBlockTokens, (index + 1) * prefixBlockTokens)
  return before === undefined ? `0/${scope}:${own.join()}` : `${before.id}:${own.join()}`
}
