import { loadTokenizer } from '@plateau/model-files'
import { expect, it } from 'vitest'
import type { Round } from './response.js'
import { textPieces, type Piece } from './text-pieces.js'

const tokenizer = await loadTokenizer(new URL('../../../models/tiny-target', import.meta.url).pathname)
const LENGTH = 2
const STOP = 1

/** The text's tokens in rounds of `size`; the last round finishes. */
async function* rounds(tokens: readonly number[], size: number, finish: number): AsyncGenerator<Round> {
  for (let at = 0; at < tokens.length; at += size) {
    const last = at + size >= tokens.length
    yield {
      tokens: tokens.slice(at, at + size),
      source: 'none',
      proposed: 0,
      accepted: 0,
      alpha: [],
      finish: last ? finish : 0,
    }
  }
}

async function collect(pieces: AsyncIterable<Piece>) {
  let text = ''
  const tokenIds: number[] = []
  let finish: string | undefined
  for await (const piece of pieces) {
    expect(finish).toBeUndefined()
    text += piece.text
    tokenIds.push(...piece.tokenIds)
    finish = piece.finish
  }
  return { text, tokenIds, finish }
}

const text = 'const answer = fellow citizens; // naïve 日本 🙂\nreturn END of it'
const tokens = tokenizer.encode(text)

it.each([1, 2, 3, 7, 1000])('rounds of %d tokens give the text, whole characters only', async (size) => {
  for await (const piece of textPieces(rounds(tokens, size, LENGTH), tokenizer.decoder(), [])) {
    expect(piece.text).not.toContain('\uFFFD')
  }
  const result = await collect(textPieces(rounds(tokens, size, LENGTH), tokenizer.decoder(), []))
  expect(result).toEqual({ text: tokenizer.decode(tokens), tokenIds: tokens, finish: 'length' })
})

it.each([1, 2, 3, 7, 1000])('a stop string ends the text wherever its tokens lie, rounds of %d', async (size) => {
  const result = await collect(
    textPieces(rounds(tokens, size, LENGTH), tokenizer.decoder(), ['\nreturn EN', 'nowhere']),
  )
  expect(result.text).toBe('const answer = fellow citizens; // naïve 日本 🙂')
  expect(result.finish).toBe('stop')
  // Counted up to the token that completed the stop string, and not beyond.
  expect(tokenizer.decode(result.tokenIds)).toContain('\nreturn EN')
  expect(tokenizer.decode(result.tokenIds.slice(0, -1))).not.toContain('\nreturn EN')
})

it('the rest of the response is not asked for after a stop string', async () => {
  let closed = false
  async function* source(): AsyncGenerator<Round> {
    try {
      yield* rounds(tokens, 1, LENGTH)
    } finally {
      closed = true
    }
  }
  await collect(textPieces(source(), tokenizer.decoder(), ['answer']))
  expect(closed).toBe(true)
})

it('a token that ended the response at the target is counted and not shown', async () => {
  const result = await collect(textPieces(rounds([...tokens, tokens[0]!], 4, STOP), tokenizer.decoder(), []))
  expect(result).toEqual({ text: tokenizer.decode(tokens), tokenIds: [...tokens, tokens[0]!], finish: 'stop' })
})
