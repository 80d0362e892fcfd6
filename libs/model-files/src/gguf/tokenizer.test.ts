import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadTokenizer, type Tokenizer } from '../tokenizer.js'
import { hashTokenizer } from '../model-fingerprint.js'
import type { GgufValue } from './header.js'
import { ggufTokenizer } from './tokenizer.js'

interface SentencePiece {
  readonly tokens: string[]
  readonly scores: number[]
  readonly types: number[]
  readonly ids: number[][]
  readonly decoded: string[]
}

/** Made by tokenizers and sentencepiece; see ../../goldens/make_goldens.py. */
const goldens = JSON.parse(await readFile(new URL('../../goldens/tokenizers.json', import.meta.url), 'utf8')) as {
  readonly texts: string[]
  readonly byteLevel: Record<string, number[][]>
  readonly sentencePiece: SentencePiece
}
const demoPath = fileURLToPath(new URL('../../../../models/demo-target/tokenizer.json', import.meta.url))
const demo = JSON.parse(await readFile(demoPath, 'utf8')) as {
  model: { vocab: Record<string, number>; merges: (string | string[])[] }
}

type Changes = Readonly<Record<string, GgufValue | undefined>>

function metadata(of: Changes, changes: Changes = {}): ReadonlyMap<string, GgufValue> {
  const entries = Object.entries({ ...of, ...changes }).filter(([, value]) => value !== undefined)
  return new Map(entries.map(([name, value]) => [`tokenizer.ggml.${name}`, value!]))
}

const tokens = Object.entries(demo.model.vocab)
  .toSorted(([, a], [, b]) => a - b)
  .map(([token]) => token)
const byteLevel = {
  model: 'gpt2',
  pre: 'smollm',
  tokens,
  token_type: tokens.map((_, id): number => (id === 0 ? 3 : 1)),
  merges: demo.model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' '))),
  bos_token_id: 0,
  eos_token_id: 0,
  add_bos_token: false,
}
const pieces = goldens.sentencePiece
const sentencePiece = {
  model: 'llama',
  tokens: pieces.tokens,
  scores: pieces.scores,
  token_type: pieces.types,
  bos_token_id: 1,
  eos_token_id: 2,
  unknown_token_id: 0,
}

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plateau-gguf-tokenizer-'))
})
afterAll(async () => rm(directory, { recursive: true }))

/** As every other reader of tokenizer.json would have it. */
async function tokenizerOf(of: Changes, changes: Changes = {}): Promise<Tokenizer> {
  const { json, config } = ggufTokenizer(metadata(of, changes), 'm.gguf')
  await writeFile(join(directory, 'tokenizer.json'), json)
  await writeFile(join(directory, 'tokenizer_config.json'), JSON.stringify(config))
  return loadTokenizer(directory)
}

function refusal(of: Changes, changes: Changes): unknown {
  try {
    return ggufTokenizer(metadata(of, changes), 'm.gguf')
  } catch (thrown) {
    return thrown
  }
}

describe('the tokenizer of a GGUF file', () => {
  it.each(Object.keys(goldens.byteLevel))('cuts and merges as the reference does: %s', async (pre) => {
    const tokenizer = await tokenizerOf(byteLevel, { pre })
    expect(goldens.texts.map((text) => tokenizer.encode(text))).toEqual(goldens.byteLevel[pre])
  })

  it('merges pieces as SentencePiece does, with its bytes and its first token', async () => {
    const tokenizer = await tokenizerOf(sentencePiece)
    const ids = goldens.texts.map((text) => tokenizer.encode(text))
    expect(ids).toEqual(pieces.ids)
    expect(ids.map((each) => tokenizer.decode(each))).toEqual(pieces.decoded)
  })

  it('adds first and last tokens where the file says so, or its pre-tokenizer is known to', async () => {
    const begins = async (changes: Changes): Promise<boolean> => {
      const ids = (await tokenizerOf(byteLevel, { bos_token_id: 7, ...changes })).encode('a')
      return ids[0] === 7
    }
    expect(await begins({})).toBe(false)
    expect(await begins({ add_bos_token: true })).toBe(true)
    expect(await begins({ add_bos_token: undefined })).toBe(false)
    expect(await begins({ add_bos_token: undefined, pre: 'llama-bpe' })).toBe(true)
    const ends = await tokenizerOf(byteLevel, { eos_token_id: 9, add_eos_token: true })
    expect(ends.encode('a').at(-1)).toBe(9)
  })

  it('takes control tokens as special and user-defined ones as text', async () => {
    const token_type = byteLevel.token_type.with(500, 4)
    const tokenizer = await tokenizerOf(byteLevel, { token_type, tokens: tokens.with(500, '<tool>') })
    const ids = tokenizer.encode('a<tool><|endoftext|>b')
    expect(ids).toContain(500)
    expect(ids).toContain(0)
    expect(tokenizer.decode(ids)).toBe('a<tool>b')
    expect(tokenizer.eosTokenIds).toEqual([0])
    expect(tokenizer.specialTokens).toEqual({ bosToken: '<|endoftext|>', eosToken: '<|endoftext|>' })
  })

  it('adds no blank before the text where the file says so', async () => {
    const tokenizer = await tokenizerOf(sentencePiece, { add_space_prefix: false })
    expect(tokenizer.decode(tokenizer.encode(' x'))).toBe(' x')
    expect(tokenizer.encode('x')).not.toEqual((await tokenizerOf(sentencePiece)).encode('x'))
  })

  it('is the same bytes every time: drafts are bound to their hash', () => {
    const { json } = ggufTokenizer(metadata(sentencePiece), 'm.gguf')
    expect(hashTokenizer(json)).toBe('17a86ecf773fc2f83a6e48e923ae7ecd66bee7f9f4252085833dc7b585173635')
  })

  it.each([
    ['nothing', byteLevel, { model: undefined }, 'TOKENIZER_INVALID', 'it carries no tokenizer'],
    ['no tokens', byteLevel, { tokens: undefined }, 'TOKENIZER_INVALID', 'it carries no tokenizer'],
    ['another model', byteLevel, { model: 'bert' }, 'TOKENIZER_UNSUPPORTED', 'tokenizer.ggml.model "bert"'],
    ['an unknown pre-tokenizer', byteLevel, { pre: 'poro' }, 'TOKENIZER_UNSUPPORTED', 'tokenizer.ggml.pre "poro"'],
    ['tokens that are numbers', byteLevel, { tokens: [1, 2] }, 'TOKENIZER_INVALID', 'tokens is not a list of strings'],
    ['the same token twice', byteLevel, { tokens: tokens.with(9, 'a') }, 'TOKENIZER_INVALID', 'are the same'],
    ['too few types', byteLevel, { token_type: [1] }, 'TOKENIZER_INVALID', 'token_type has 1 entries'],
    ['no merges', byteLevel, { merges: undefined }, 'TOKENIZER_INVALID', 'no tokenizer.ggml.merges'],
    ['no scores', sentencePiece, { scores: undefined }, 'TOKENIZER_INVALID', 'no tokenizer.ggml.scores'],
    ['an unnamed first token', sentencePiece, { bos_token_id: 99_999 }, 'TOKENIZER_INVALID', 'does not name'],
  ])('that is not whole is refused: %s', (_, of, changes, code, sentence) => {
    const message = expect.stringContaining(sentence) as string
    expect(refusal(of, changes)).toMatchObject({ code, message, facts: { file: 'm.gguf' } })
  })
})
