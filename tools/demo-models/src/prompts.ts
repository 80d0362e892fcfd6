import type { Document, DomainDocuments, DomainName } from './corpus-documents.js'
import { seededRandom } from './prompts-random.js'
import type { BytePairEncoder } from './tokenizer-encoder.js'

export interface Prompt {
  readonly id: string
  readonly text: string
}

export interface PromptOptions {
  readonly count: number
  readonly minTokens: number
  readonly maxTokens: number
  readonly seed: number
}

/**
 * Prompts from the held-out documents of a domain: each begins where a sentence or a line does and stops after
 * `minTokens` to `maxTokens` tokens, at the end of a word. They do not overlap one another, none occurs anywhere in the
 * training text, and the same seed gives the same prompts. Fewer than `count` when the documents hold no more.
 */
export function samplePrompts(domain: DomainDocuments, encoder: BytePairEncoder, options: PromptOptions): Prompt[] {
  const random = seededRandom(options.seed)
  const starts = domain.heldOut.flatMap((document) =>
    starting[domain.name](document.text).map((at) => ({ document, at })),
  )
  const training = domain.train.map(({ text }) => text).join('\0')
  const taken = new Map<Document, { readonly begin: number; readonly end: number }[]>()
  const prompts: Prompt[] = []
  for (const { document, at } of random.order(starts)) {
    if (prompts.length === options.count) break
    const tokens = options.minTokens + random.below(options.maxTokens - options.minTokens + 1)
    const text = wordsUpTo(document.text, at, tokens, encoder)
    if (text === undefined || encoder.encode(text).length < options.minTokens) continue
    const others = taken.get(document) ?? []
    if (others.some(({ begin, end }) => at < end && begin < at + text.length)) continue
    if (training.includes(text) || prompts.some((prompt) => prompt.text === text)) continue
    taken.set(document, [...others, { begin: at, end: at + text.length }])
    prompts.push({ id: `${domain.name}-${String(prompts.length).padStart(3, '0')}`, text })
  }
  return prompts
}

/** Offsets at which a prompt may begin. */
const starting: Readonly<Record<DomainName, (text: string) => number[]>> = {
  // A capital after the end of a sentence. Abbreviations slip in; no harm done.
  sotu: (text) => offsetsOf(text, /(?<=^|[a-z][.?!]\s+)[A-Z]/g),
  // Lines that are not indented: declarations and the comments before them.
  typescript: (text) => offsetsOf(text, /(?<=^|\n)[\w/@]/g),
}

function offsetsOf(text: string, pattern: RegExp): number[] {
  return Array.from(text.matchAll(pattern), (match) => match.index)
}

/** The longest run of whole words from `begin` that is at most `maxTokens` long; undefined near the document's end. */
function wordsUpTo(text: string, begin: number, maxTokens: number, encoder: BytePairEncoder): string | undefined {
  // No need to look further: a token has about four characters in the mean.
  const slice = text.slice(begin, begin + 20 * maxTokens)
  let end = 0
  for (const { index } of slice.matchAll(/(?<=\w)(?=\W)/g)) {
    if (encoder.encode(slice.slice(0, index)).length > maxTokens) return slice.slice(0, end)
    end = index
  }
  return undefined
}
