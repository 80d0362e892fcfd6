import { loadTokenizer, renderChat, type ChatMessage } from '@plateau/model-files'
import fc from 'fast-check'
import type { FuzzTarget } from '../fuzz-target.js'
import { accepted } from '../refusal.js'
import { repositoryFile } from '../repository.js'

/** As UTF-16, so that halves of surrogate pairs can be said. */
const asText = (input: Uint8Array): string => Buffer.from(input).toString('utf16le')
const asBytes = (text: string): Uint8Array => Buffer.from(text, 'utf16le')

const pieces = [
  'The state of the Union',
  ' ',
  '\n',
  '\t',
  '\r\n',
  '\0',
  'e\u0301',
  '\u00e9',
  '\uac00',
  '\u1100\u1161',
  '\u0344',
  '\ud83d\ude00',
  '\ud83d',
  '\ude00',
  '\ufeff',
  '\u200d',
  '\u2028',
  '\u202e',
  '<|endoftext|>',
  '<|',
  '|>',
  '1234',
  "'s",
  '\u{1d7ff}',
  '\ufb01',
  'const x = {',
  'aaaaaaaaaaaaaaaa',
  '\u0300\u0301\u0302\u0303',
]

const text = fc.oneof(
  fc.array(fc.constantFrom(...pieces), { maxLength: 40 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.tuple(fc.constantFrom(...pieces), fc.integer({ min: 1, max: 5000 })).map(([piece, times]) => piece.repeat(times)),
)

/** What a prompt may hold: any string that JSON can say. */
export const tokenizerInput: FuzzTarget = {
  name: 'tokenizer-input',
  summary: 'prompts as strings: lone surrogates, unnormalised text, special tokens, long runs',
  limits: { inputMs: 2000, memoryMiB: 64, inputBytes: 200_000 },
  shortRuns: 500,
  open: async () => {
    const tokenizer = await loadTokenizer(repositoryFile('models/tiny-target'))
    return {
      corpus: pieces.map(asBytes),
      generated: text.map(asBytes),
      run: (input) => {
        const ids = tokenizer.encode(asText(input))
        const outside = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize))
        if (outside !== undefined) throw new Error(`token ${outside} is outside of the vocabulary`)
        const whole = tokenizer.decode(ids)
        const decoder = tokenizer.decoder()
        const streamed = ids.map((id) => decoder.push(id)).join('') + decoder.flush()
        if (whole !== streamed) throw new Error('text that is streamed differs from text as a whole')
        return true
      },
    }
  },
}

/** One that asks for much of a message, as models' templates do. */
const template = `{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}<|{{ m['role'] }}|>{{ m['content'] | trim }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`

export const chatTemplate: FuzzTarget = {
  name: 'chat-template',
  summary: "a model's Jinja template, damaged, and messages of every kind",
  limits: { inputMs: 2000, memoryMiB: 64, inputBytes: 100_000 },
  shortRuns: 500,
  open: async () => {
    // The first line is the messages as JSON, the rest the template.
    const seeds = [
      `[{"role":"user","content":"hello"}]\n${template}`,
      `[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"{{ 1 }}"}]\n${template}`,
      `[]\n{{ messages | length }}{{ messages[0].content }}{% set x = namespace(a=1) %}{{ x.a }}`,
    ]
    const role = fc.oneof(fc.constantFrom('user', 'assistant', 'system', 'tool'), fc.string())
    const messages = fc.array(fc.record({ role, content: text }), { maxLength: 6 })
    return {
      corpus: seeds.map((seed) => Buffer.from(seed)),
      generated: messages.map((list) => Buffer.from(`${JSON.stringify(list)}\n${template}`)),
      run: (input) => {
        const [first = '', ...rest] = Buffer.from(input).toString('utf8').split('\n')
        const list = messagesOf(first)
        if (list === undefined) return false
        return accepted(['CHAT_TEMPLATE_INVALID', 'CHAT_TEMPLATE_REFUSED'], () => {
          const rendered: unknown = renderChat(list, rest.join('\n'), { bosToken: '<s>', eosToken: '</s>' })
          if (typeof rendered !== 'string') throw new Error('a template rendered to something else than text')
        })
      },
    }
  },
}

/** What the API lets through: a list of texts. */
function messagesOf(json: string): ChatMessage[] | undefined {
  try {
    const parsed: unknown = JSON.parse(json)
    if (!Array.isArray(parsed)) return undefined
    const isMessage = (one: unknown): one is ChatMessage =>
      typeof one === 'object' &&
      one !== null &&
      'role' in one &&
      'content' in one &&
      typeof one.role === 'string' &&
      typeof one.content === 'string'
    return parsed.every(isMessage) ? parsed : undefined
  } catch {
    return undefined
  }
}
