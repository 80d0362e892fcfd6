import { loadTokenizer } from '@plateau/model-files'
import { describe, expect, it } from 'vitest'
import type { Round } from './response.js'
import type { ScoredToken } from './scored-tokens.js'
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
      judged: 0,
      alpha: [],
      finish: last ? finish : 0,
    }
  }
}

const wanting = (...stops: string[]) => ({ stops, logprobs: false })

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
  for await (const piece of textPieces(rounds(tokens, size, LENGTH), tokenizer.decoder(), wanting())) {
    expect(piece.text).not.toContain('\uFFFD')
  }
  const result = await collect(textPieces(rounds(tokens, size, LENGTH), tokenizer.decoder(), wanting()))
  expect(result).toEqual({ text: tokenizer.decode(tokens), tokenIds: tokens, finish: 'length' })
})

it.each([1, 2, 3, 7, 1000])('a stop string ends the text wherever its tokens lie, rounds of %d', async (size) => {
  const result = await collect(
    textPieces(rounds(tokens, size, LENGTH), tokenizer.decoder(), wanting('\nreturn EN', 'nowhere')),
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
  await collect(textPieces(source(), tokenizer.decoder(), wanting('answer')))
  expect(closed).toBe(true)
})

it('a token that ended the response at the target is counted and not shown', async () => {
  const result = await collect(textPieces(rounds([...tokens, tokens[0]!], 4, STOP), tokenizer.decoder(), wanting()))
  expect(result).toEqual({ text: tokenizer.decode(tokens), tokenIds: [...tokens, tokens[0]!], finish: 'stop' })
})

describe('tokens with log probabilities', () => {
  /** As `rounds`, every token with a log probability that tells its place. */
  async function* scoredRounds(ids: readonly number[], size: number, finish: number): AsyncGenerator<Round> {
    let at = 0
    for await (const round of rounds(ids, size, finish)) {
      yield { ...round, logprobs: round.tokens.map(() => ({ logProb: -at++, topIds: [], topLogProbs: [] })) }
    }
  }

  async function scored(ids: readonly number[], size: number, finish: number, ...stops: string[]) {
    let shown = ''
    const found: ScoredToken[] = []
    const pieces = textPieces(scoredRounds(ids, size, finish), tokenizer.decoder(), { stops, logprobs: true })
    for await (const piece of pieces) {
      shown += piece.text
      // A token never comes before the text that it begins, unless nothing follows it.
      const before = piece.finish === undefined ? Array.from(shown).length : Infinity
      expect(piece.scored.filter(({ offset }) => offset >= before)).toEqual([])
      found.push(...piece.scored)
    }
    return { shown, found }
  }

  it.each([1, 2, 3, 7, 1000])(
    'come once each, in order, with the characters before them, rounds of %d',
    async (size) => {
      const { found } = await scored(tokens, size, LENGTH)
      expect(found.map(({ id }) => id)).toEqual(tokens)
      expect(found.map(({ logprobs }) => -logprobs.logProb)).toEqual(tokens.map((_, i) => i))
      for (const [i, { offset }] of found.entries()) {
        // Parts of one character all begin where it does.
        const before = tokenizer.decode(tokens.slice(0, i)).replace(/\uFFFD+$/, '')
        expect(offset).toBe(Array.from(before).length)
      }
    },
  )

  it.each([1, 2, 3, 7, 1000])('a stop string cuts off those that begin behind the text, rounds of %d', async (size) => {
    for (const stop of ['itizens', '\nreturn EN', '本', 'c']) {
      const { shown, found } = await scored(tokens, size, LENGTH, stop)
      expect(shown).toBe(text.slice(0, text.indexOf(stop)))
      const bytes = Buffer.concat(found.map(({ id }) => tokenizer.bytesOf(id)!)).toString('utf8')
      expect(bytes.startsWith(shown)).toBe(true)
      const withoutLast = found.slice(0, -1).map(({ id }) => tokenizer.bytesOf(id)!)
      expect(Buffer.concat(withoutLast).length).toBeLessThan(Math.max(1, Buffer.byteLength(shown)))
    }
  })

  it('the token that ended the response is none, one that is a part of a character is one', async () => {
    const smile = tokenizer.encode('🙂')
    expect(smile.length).toBeGreaterThan(1)
    expect((await scored([...smile, 0], 1, STOP)).found.map(({ id }) => id)).toEqual(smile)
    expect((await scored(smile.slice(0, -1), 1, LENGTH)).found.map(({ id }) => id)).toEqual(smile.slice(0, -1))
  })

  it('a target that sends none is said, not passed over', async () => {
    const pieces = textPieces(rounds(tokens, 1, LENGTH), tokenizer.decoder(), { stops: [], logprobs: true })
    await expect(collect(pieces)).rejects.toMatchObject({ code: 'TARGET_WITHOUT_LOGPROBS' })
  })
})
