import type { Document } from './corpus-documents.js'
import type { seededRandom } from './prompts-random.js'

export interface Passage {
  /** Of the document that it was taken from. */
  readonly document: string
  readonly text: string
}

type Draws = ReturnType<typeof seededRandom>

const sentenceStart = /(?<=[a-z][.?!]\s+)[A-Z]/g
const sentenceEnd = /[a-z][.?!](?=\s)/g
const declarationStart = /(?<=\n\n|\*\/\n)(?:export )?(?:const|function|class|interface|type) /g

/** Whole sentences of speeches, 250 to 700 characters, no two of which overlap. */
export function speechPassages(documents: readonly Document[], perDocument: number, random: Draws): Passage[] {
  return documents.flatMap(({ name, text }) =>
    apart(random.order(offsetsOf(text, sentenceStart)), perDocument, (at) => {
      const slice = text.slice(at, at + 250 + random.below(450))
      return slice.slice(0, offsetsOf(slice, sentenceEnd).at(-1)! + 2)
    }).map((passage) => ({ document: name, text: passage })),
  )
}

/** Declarations of sources from their first line on, 150 to 800 characters of whole lines. */
export function codePassages(documents: readonly Document[], perDocument: number, random: Draws): Passage[] {
  return documents.flatMap(({ name, text }) =>
    apart(random.order(offsetsOf(text, declarationStart)), perDocument, (at) => {
      const next = text.indexOf('\n/**', at)
      const slice = text.slice(at, Math.min(next < 0 ? text.length : next, at + 300 + random.below(500)))
      return slice.slice(0, slice.lastIndexOf('\n'))
    }).map((passage) => ({ document: name, text: passage })),
  )
}

const leastCharacters = 150

/** Takes up to `count` texts in the order of their offsets given; the ones that are short or reach into another fall out. */
function apart(offsets: readonly number[], count: number, textAt: (offset: number) => string): string[] {
  const taken: { begin: number; end: number; text: string }[] = []
  for (const begin of offsets) {
    if (taken.length === count) break
    const text = textAt(begin).trimEnd()
    const end = begin + text.length
    if (text.length < leastCharacters || taken.some((other) => begin < other.end && other.begin < end)) continue
    taken.push({ begin, end, text })
  }
  return taken.map(({ text }) => text)
}

function offsetsOf(text: string, pattern: RegExp): number[] {
  return Array.from(text.matchAll(pattern), ({ index }) => index)
}
