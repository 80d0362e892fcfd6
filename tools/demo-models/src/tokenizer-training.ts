import { byteAlphabet, preTokens } from './tokenizer-words.js'

/** What byte-pair training found: tokens by id, and the merges in the order of their rank. */
export interface BytePairVocabulary {
  readonly specialTokens: readonly string[]
  /** Token strings in the byte-level alphabet, special tokens first; the index is the id. */
  readonly tokens: readonly string[]
  readonly merges: readonly (readonly [string, string])[]
}

/**
 * Byte-level byte-pair encoding (Sennrich et al. 2016; bytes as GPT-2 does): starts from the 256 bytes and merges the
 * most frequent adjacent pair of symbols until `vocabSize` tokens exist. Equal counts go to the pair with the lower
 * ids, so that the same text always gives the same vocabulary. Stops early when no pair occurs twice.
 */
export function trainBytePairs(
  texts: Iterable<string>,
  vocabSize: number,
  specialTokens: readonly string[],
): BytePairVocabulary {
  const tokens = [...specialTokens, ...byteAlphabet()]
  if (vocabSize < tokens.length)
    throw new RangeError(`a vocabulary of ${vocabSize} cannot hold ${tokens.length} tokens`)
  const merges: [string, string][] = []
  const pairs = new PairCounts(countWords(texts), specialTokens.length)
  while (tokens.length < vocabSize) {
    const best = pairs.takeMostFrequent()
    if (best === undefined) break
    const [left, right] = [tokens[best.left]!, tokens[best.right]!]
    pairs.merge(best.left, best.right, tokens.length)
    tokens.push(left + right)
    merges.push([left, right])
  }
  return { specialTokens, tokens, merges }
}

function countWords(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const text of texts) for (const word of preTokens(text)) counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}

interface Pair {
  readonly left: number
  readonly right: number
  readonly count: number
}

/** Ids stay below 2^16, so a pair fits one number. */
const pairKey = (left: number, right: number): number => left * 65_536 + right

/**
 * The counts of all adjacent pairs over the unique words. A merge touches only the words that hold its pair, and the
 * heap may hold outdated entries: each is checked against the count when it comes to the top.
 */
class PairCounts {
  private readonly words: number[][] = []
  private readonly wordCounts: number[] = []
  private readonly counts = new Map<number, number>()
  private readonly wordsOfPair = new Map<number, Set<number>>()
  private readonly heap: Pair[] = []

  constructor(words: ReadonlyMap<string, number>, firstByteId: number) {
    const byteIds = new TextEncoder()
    for (const [word, count] of words) {
      const index = this.words.push(Array.from(byteIds.encode(word), (byte) => firstByteId + byte)) - 1
      this.wordCounts.push(count)
      this.addWord(index, 1)
    }
    for (const key of this.counts.keys()) this.offer(key)
  }

  takeMostFrequent(): Pair | undefined {
    for (let top = popTop(this.heap); top !== undefined; top = popTop(this.heap)) {
      if (this.counts.get(pairKey(top.left, top.right)) !== top.count) continue
      return top.count > 1 ? top : undefined
    }
    return undefined
  }

  merge(left: number, right: number, merged: number): void {
    const changed = new Set<number>()
    // Each word leaves this set while it is visited, which a Set allows, and never comes back: the pair is merged away.
    for (const index of this.wordsOfPair.get(pairKey(left, right)) ?? []) {
      for (const key of this.addWord(index, -1)) changed.add(key)
      this.words[index] = mergeIn(this.words[index]!, left, right, merged)
      for (const key of this.addWord(index, 1)) changed.add(key)
    }
    for (const key of changed) this.offer(key)
  }

  /** Adds (sign 1) or takes away (sign -1) what one word contributes; returns the pairs it touched. */
  private addWord(index: number, sign: 1 | -1): number[] {
    const word = this.words[index]!
    const weight = sign * this.wordCounts[index]!
    const touched: number[] = []
    for (let i = 0; i + 1 < word.length; i++) {
      const key = pairKey(word[i]!, word[i + 1]!)
      touched.push(key)
      this.counts.set(key, (this.counts.get(key) ?? 0) + weight)
      let holders = this.wordsOfPair.get(key)
      if (holders === undefined) this.wordsOfPair.set(key, (holders = new Set()))
      if (sign === 1) holders.add(index)
      else holders.delete(index)
    }
    return touched
  }

  private offer(key: number): void {
    const count = this.counts.get(key)!
    if (count > 0) pushEntry(this.heap, { left: Math.floor(key / 65_536), right: key % 65_536, count })
  }
}

function mergeIn(word: readonly number[], left: number, right: number, merged: number): number[] {
  const out: number[] = []
  for (let i = 0; i < word.length; i++) {
    if (word[i] === left && word[i + 1] === right) {
      out.push(merged)
      i++
    } else {
      out.push(word[i]!)
    }
  }
  return out
}

function before(a: Pair, b: Pair): boolean {
  if (a.count !== b.count) return a.count > b.count
  return a.left !== b.left ? a.left < b.left : a.right < b.right
}

function pushEntry(heap: Pair[], entry: Pair): void {
  let at = heap.push(entry) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!before(entry, heap[parent]!)) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = entry
}

function popTop(heap: Pair[]): Pair | undefined {
  const top = heap[0]
  const last = heap.pop()
  if (top === undefined || last === undefined || heap.length === 0) return top
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
    if (!before(heap[child]!, last)) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
  return top
}
