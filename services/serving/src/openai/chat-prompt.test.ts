import { loadTokenizer, type Tokenizer } from '@plateau/model-files'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { chatPrompts } from './chat-prompt.js'
import { parseRequest } from './parse-request.js'

const tiny = new URL('../../../../models/tiny-target', import.meta.url).pathname
const directory = await mkdtemp(join(tmpdir(), 'chat-'))
afterAll(() => rm(directory, { recursive: true }))

/** The tiny target's tokenizer with a first token of its own and ChatML's two marks. */
async function chatTokenizer(): Promise<Tokenizer> {
  await cp(tiny, directory, { recursive: true })
  const file = JSON.parse(await readFile(join(tiny, 'tokenizer.json'), 'utf8')) as {
    added_tokens: object[]
    model: { vocab: Record<string, number> }
    post_processor: unknown
  }
  const size = Math.max(...Object.values(file.model.vocab)) + 1
  const added = ['<s>', '<|im_start|>', '<|im_end|>'].map((content, i) => ({
    ...file.added_tokens[0],
    id: size + i,
    content,
  }))
  const single = [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }]
  const special_tokens = { '<s>': { id: '<s>', ids: [size], tokens: ['<s>'] } }
  const post_processor = { type: 'TemplateProcessing', single, pair: single, special_tokens }
  const changed = { ...file, added_tokens: [...file.added_tokens, ...added], post_processor }
  await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(changed))
  const config = { ...(JSON.parse(await readFile(join(tiny, 'tokenizer_config.json'), 'utf8')) as object) }
  await writeFile(join(directory, 'tokenizer_config.json'), JSON.stringify({ ...config, bos_token: '<s>' }))
  return loadTokenizer(directory)
}

const tokenizer = await chatTokenizer()
const [bos, start, end] = ['<s>', '<|im_start|>', '<|im_end|>'].map(
  (text) => tokenizer.encode(text, { addSpecialTokens: false })[0]!,
)
const chatMl =
  '{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}' +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'
const hello = [{ role: 'user', content: 'Hello' }]
const count = (ids: readonly number[], id: number) => ids.filter((other) => other === id).length

describe('a chat by the model’s own template', () => {
  const chat = chatPrompts('template', chatMl, tokenizer)

  it('has its special tokens as such, and one first token', () => {
    const ids = chat.encode(hello)
    expect(ids[0]).toBe(bos)
    expect([count(ids, bos!), count(ids, start!), count(ids, end!)]).toEqual([1, 2, 1])
    expect(tokenizer.decode(ids)).toBe('user\nHello\nassistant\n')
  })

  it('stops where the template says that the assistant’s turn ends, unless end tokens are to be ignored', () => {
    expect(chat.endOfTurn).toEqual([end])
    const caller = { tenant: undefined, keyName: '', admin: false, mayCapture: true, maySpeculate: true }
    const options = { model: 'm', tokenizer, chat, caller, tenantHeader: undefined }
    const stops = (endpoint: 'chat' | 'completions', body: object) =>
      parseRequest(endpoint, body, options).generations[0]!.sampling.stopTokenIds
    expect(stops('chat', { messages: hello, stop_token_ids: [5] })).toEqual([5, end])
    expect(stops('chat', { messages: hello, ignore_eos: true })).toEqual([])
    expect(stops('completions', { prompt: 'Hello' })).toEqual([])
  })

  it('is left without an opening, or given a further first token, where asked', () => {
    expect(tokenizer.decode(chat.encode(hello, { addGenerationPrompt: false }))).toBe('user\nHello\n')
    expect(count(chat.encode(hello, { addSpecialTokens: true }), bos!)).toBe(2)
  })

  it('takes no text for the end of a turn', () => {
    const lines = '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}'
    expect(chatPrompts('template', lines, tokenizer).endOfTurn).toEqual([])
  })

  it('a conversation that it does not take is the request’s fault, and named', () => {
    const strict = `{% if messages[0].role != 'system' %}{{ raise_exception('a system message comes first') }}{% endif %}${chatMl}`
    const picky = chatPrompts('template', strict, tokenizer)
    expect(picky.endOfTurn).toEqual([])
    expect(() => picky.encode(hello)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', facts: expect.objectContaining({ field: 'messages' }) }),
    )
    expect(() => picky.encode(hello)).toThrow(/a system message comes first/)
    expect(picky.encode([{ role: 'system', content: 'Be brief.' }, ...hello])).toContain(start)
  })

  it('one that cannot be rendered is refused at the start, with what to do', () => {
    expect(() => chatPrompts('template', '{% for m in %}', tokenizer)).toThrow(
      expect.objectContaining({
        code: 'CHAT_TEMPLATE_INVALID',
        message: expect.stringContaining('PLATEAU_CHAT_FORMAT=roles'),
      }),
    )
  })
})

it('without a template, or told so, messages are lines or joined; the tokenizer adds its first token', () => {
  const lines = tokenizer.encode('user: Hello\nassistant:')
  expect(lines[0]).toBe(bos)
  expect(chatPrompts('template', undefined, tokenizer).encode(hello)).toEqual(lines)
  expect(chatPrompts('roles', chatMl, tokenizer).encode(hello)).toEqual(lines)
  expect(chatPrompts('plain', chatMl, tokenizer).encode(hello)).toEqual(tokenizer.encode('Hello'))
})
