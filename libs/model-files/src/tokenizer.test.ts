import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadTokenizer } from './tokenizer.js'

const demo = await loadTokenizer(fileURLToPath(new URL('../../../models/demo-target', import.meta.url)))

const texts = [
  'The state of the Union is strong.',
  '  leading, trailing  ',
  '\n\n\tconst x = { a: 1 }\r\n    return x?.a ?? 0\n',
  'naïve café — “quotes” … 日本語 한국어 العربية',
  '👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u200b\ufeff\u0000',
  '\ufeffstarts with a byte order mark',
  " .,!?' n't 'm don't they'll",
  '',
]

/** Ids from a fixed sequence (a linear congruential generator). */
function randomIds(count: number, seed: number, limit: number): number[] {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  })
}

describe('the demo tokenizer', () => {
  it.each(texts)('decodes what it encoded: %j', (text) => {
    expect(demo.decode(demo.encode(text))).toBe(text)
  })

  it('knows its size and its end token, and leaves special tokens out of text', () => {
    expect(demo.vocabSize).toBe(4096)
    expect(demo.eosTokenIds).toEqual([0])
    expect(demo.encode('a<|endoftext|>b')).toContain(0)
    expect(demo.decode(demo.encode('a<|endoftext|>b'))).toBe('ab')
  })

  it('tells a token’s own bytes and its name, also where they are no text', () => {
    const ids = demo.encode('naïve 日本')
    const bytes = ids.flatMap((id) => [...demo.bytesOf(id)!])
    expect(Buffer.from(bytes).toString('utf8')).toBe('naïve 日本')
    expect(ids.map((id) => demo.nameOf(id)).join('')).toBe('naÃ¯veĠæĹ¥æľ¬')
    expect([demo.bytesOf(0), demo.nameOf(0)]).toEqual([undefined, '<|endoftext|>'])
  })

  it('names an id outside the vocabulary', () => {
    expect(() => demo.decode([4096])).toThrow('token id 4096 is outside the vocabulary')
  })
})

describe('incremental decoding', () => {
  it('joined, is decoding at once, on random ids', () => {
    for (let seed = 1; seed <= 200; seed++) {
      // Small ids are single bytes: most sequences are broken UTF-8.
      const ids = randomIds(60, seed, seed % 2 === 0 ? 257 : demo.vocabSize)
      const decoder = demo.decoder()
      const parts = ids.map((id) => decoder.push(id))
      expect(parts.join('') + decoder.flush()).toBe(demo.decode(ids))
    }
  })

  it.each(texts)('never shows a part of a character: %j', (text) => {
    const decoder = demo.decoder()
    let shown = ''
    for (const id of demo.encode(text)) {
      const part = decoder.push(id)
      expect(part).not.toContain('\ufffd')
      shown += part
      expect(text.startsWith(shown)).toBe(true)
    }
    expect(decoder.flush()).toBe('')
    expect(shown).toBe(text)
  })

  it('shows an unfinished character only when the text ends, and can be used again', () => {
    const decoder = demo.decoder()
    const unfinished = demo.encode('日').slice(0, -1)
    expect(unfinished.map((id) => decoder.push(id)).join('')).toBe('')
    expect(decoder.flush()).toBe('\ufffd')
    expect(decoder.push(demo.encode('a')[0]!)).toBe('a')
  })
})

describe('other tokenizers', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'plateau-tokenizer-'))
  })
  afterEach(async () => rm(directory, { recursive: true }))

  const sentencePiece = {
    version: '1.0',
    added_tokens: [
      { id: 1, content: '<s>', special: true },
      { id: 2, content: '</s>', special: true },
    ],
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      byte_fallback: true,
      fuse_unk: true,
      vocab: Object.fromEntries([
        ...['<unk>', '<s>', '</s>'].map((token, id) => [token, id] as const),
        ...Array.from(
          { length: 256 },
          (_, byte) => [`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, 3 + byte] as const,
        ),
        ...['▁', 'a', 'b', '▁a', 'ab'].map((token, i) => [token, 259 + i] as const),
      ]),
      merges: ['▁ a', 'a b'],
    },
  }

  it('with SentencePiece pieces and byte fallback decode too, also step by step', async () => {
    await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(sentencePiece))
    await writeFile(join(directory, 'tokenizer_config.json'), '{"eos_token":{"content":"</s>"}}')
    const tokenizer = await loadTokenizer(directory)
    expect(tokenizer.eosTokenIds).toEqual([2])
    const ids = tokenizer.encode('ab 日 a')
    expect(ids[0]).toBe(1)
    expect(tokenizer.encode('ab 日 a', { addSpecialTokens: false })).toEqual(ids.slice(1))
    expect(tokenizer.decode(ids)).toBe('ab 日 a')
    const decoder = tokenizer.decoder()
    expect(ids.map((id) => decoder.push(id)).join('') + decoder.flush()).toBe('ab 日 a')
  })

  it('with an unknown decoder are refused by name', async () => {
    const wordPiece = { ...sentencePiece, decoder: { type: 'WordPiece', prefix: '##', cleanup: true } }
    await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(wordPiece))
    const expected = { code: 'TOKENIZER_UNSUPPORTED', message: expect.stringContaining('WordPiece') as string }
    await expect(loadTokenizer(directory)).rejects.toMatchObject(expected)
  })

  it.each([['{'], ['{}'], ['{"model":{"type":"BPE"}}']])('that are broken are refused: %s', async (json) => {
    await writeFile(join(directory, 'tokenizer.json'), json)
    const facts = { file: join(directory, 'tokenizer.json') }
    await expect(loadTokenizer(directory)).rejects.toMatchObject({ code: 'TOKENIZER_INVALID', facts })
  })

  it('that are not there are named', async () => {
    await expect(loadTokenizer(directory)).rejects.toMatchObject({ code: 'MODEL_FILE_MISSING' })
  })
})
