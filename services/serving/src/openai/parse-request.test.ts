import { loadTokenizer } from '@plateau/model-files'
import { describe, expect, it } from 'vitest'
import type { Caller } from '../access/access.js'
import { chatPrompts } from './chat-prompt.js'
import { parseRequest, type Endpoint } from './parse-request.js'

const tokenizer = await loadTokenizer(new URL('../../../../models/tiny-target', import.meta.url).pathname)
const anybody: Caller = { tenant: undefined, keyName: '', admin: false, mayCapture: true, maySpeculate: true }

const parse = (
  endpoint: Endpoint,
  body: unknown,
  { tenantHeader, caller = anybody }: { tenantHeader?: string; caller?: Caller } = {},
) =>
  parseRequest(endpoint, body, {
    model: 'tiny',
    tokenizer,
    tenantHeader,
    caller,
    chat: chatPrompts('roles', undefined, tokenizer),
  })
const first = (...args: Parameters<typeof parse>) => parse(...args).generations[0]!

function fieldOf(endpoint: Endpoint, body: unknown): unknown {
  try {
    parse(endpoint, body)
  } catch (error) {
    return (error as { facts: { field: string } }).facts.field
  }
  return 'accepted'
}

describe('a completion request', () => {
  it('has OpenAI defaults', () => {
    const request = parse('completions', { model: 'tiny', prompt: 'Mr. Speaker' })
    const [generation] = request.generations
    expect(tokenizer.decode(generation!.promptTokenIds)).toBe('Mr. Speaker')
    expect(generation!.sampling).toEqual({
      temperature: 1,
      topK: 0,
      topP: 1,
      seed: undefined,
      maxTokens: 16,
      stopTokenIds: [],
      ignoreEos: false,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 0,
      logitBias: {},
      logprobs: 0,
    })
    expect(generation).toMatchObject({ stop: [], tenant: '', domain: '', speculate: true, capture: true })
    expect(request).toMatchObject({
      n: 1,
      stream: undefined,
      echo: false,
      topLogProbs: undefined,
      returnTokenIds: false,
    })
  })

  it('takes token ids, one string in a list, stop as text, top_k -1, and null for what is not set', () => {
    expect(first('completions', { prompt: [3, 4] }).promptTokenIds).toEqual([3, 4])
    expect(first('completions', { prompt: ['a'] }).promptTokenIds).toEqual(tokenizer.encode('a'))
    expect(first('completions', { prompt: 'a', stop: 'x', top_k: -1, seed: null })).toMatchObject({
      stop: ['x'],
      sampling: { topK: 0, seed: undefined },
    })
  })

  it('carries what changes the distribution', () => {
    const body = {
      prompt: 'a',
      presence_penalty: -2,
      frequency_penalty: 0.5,
      repetition_penalty: 1.5,
      logit_bias: { '0': -100, '4095': 1.5 },
    }
    expect(first('completions', body).sampling).toMatchObject({
      presencePenalty: -2,
      frequencyPenalty: 0.5,
      repetitionPenalty: 1.5,
      logitBias: { 0: -100, 4095: 1.5 },
    })
  })

  it('asks for the emitted token’s log probability beside the most probable ones', () => {
    expect(parse('completions', { prompt: 'a', logprobs: 0 }).topLogProbs).toBe(0)
    expect(first('completions', { prompt: 'a', logprobs: 0 }).sampling.logprobs).toBe(1)
    expect(first('completions', { prompt: 'a', logprobs: 20 }).sampling.logprobs).toBe(21)
  })

  it('with several prompts and choices is one generation each, prompt by prompt, each with its own seed', () => {
    const request = parse('completions', { prompt: ['a', [3, 4]], n: 2, best_of: 2, seed: 7 })
    expect(request.prompts.map(({ text }) => text)).toEqual(['a', tokenizer.decode([3, 4])])
    expect(request.generations.map(({ promptTokenIds, sampling }) => [promptTokenIds, sampling.seed])).toEqual([
      [tokenizer.encode('a'), 7],
      [tokenizer.encode('a'), 8],
      [[3, 4], 7],
      [[3, 4], 8],
    ])
    expect(parse('completions', { prompt: Array(16).fill('a'), n: 16 }).generations).toHaveLength(256)
    expect(first('completions', { prompt: 'a', n: 2 }).sampling.seed).toBeUndefined()
  })

  it('streams with the counts that were asked for', () => {
    const stream = (stream_options?: object) =>
      parse('completions', { prompt: 'a', stream: true, stream_options }).stream
    expect(stream()).toEqual({ includeUsage: false, continuousUsage: false })
    expect(stream({ include_usage: true, include_obfuscation: false })).toMatchObject({ includeUsage: true })
    // As in vLLM, the second needs the first.
    expect(stream({ continuous_usage_stats: true })).toMatchObject({ continuousUsage: false })
    expect(stream({ include_usage: true, continuous_usage_stats: true })).toMatchObject({ continuousUsage: true })
  })

  it('carries the extension fields', () => {
    const plateau = { domain: 'code', disable_speculation: true, capture: false, return_token_ids: true }
    const request = parse('completions', { prompt: 'a', echo: true, plateau })
    expect(request.generations[0]).toMatchObject({ domain: 'code', speculate: false, capture: false })
    expect(request).toMatchObject({ returnTokenIds: true, echo: true })
    expect(parse('completions', { prompt: 'a', return_token_ids: true }).returnTokenIds).toBe(true)
  })

  it("takes its tenant from the key, before a gateway's header, before the body", () => {
    const body = { prompt: 'a', user: 'body' }
    expect(first('completions', body).tenant).toBe('body')
    expect(first('completions', body, { tenantHeader: 'header' }).tenant).toBe('header')
    const caller = { ...anybody, tenant: 'key' }
    expect(first('completions', body, { tenantHeader: 'header', caller }).tenant).toBe('key')
  })

  it('is captured only where the caller may be and the request does not opt out', () => {
    const caller = { ...anybody, mayCapture: false }
    expect(first('completions', { prompt: 'a', plateau: { capture: true } }, { caller }).capture).toBe(false)
    expect(first('completions', { prompt: 'a' }).capture).toBe(true)
  })

  it('is speculated on only where the caller may be and the request does not opt out', () => {
    const caller = { ...anybody, maySpeculate: false }
    const asked = { prompt: 'a', plateau: { disable_speculation: false } }
    expect(first('completions', asked, { caller }).speculate).toBe(false)
    expect(first('completions', asked).speculate).toBe(true)
  })

  it.each([
    ['no prompt', {}, 'prompt'],
    ['a prompt of another type', { prompt: 5 }, 'prompt'],
    ['too many prompts', { prompt: Array(17).fill('a') }, 'prompt'],
    ['a prompt of another type among others', { prompt: ['a', 5] }, 'prompt'],
    ['an unknown token id', { prompt: [1, 4096] }, 'prompt'],
    ['a negative token id', { prompt: [-1] }, 'prompt'],
    ['another model', { prompt: 'a', model: 'gpt' }, 'model'],
    ['temperature above 2', { prompt: 'a', temperature: 2.1 }, 'temperature'],
    ['temperature as text', { prompt: 'a', temperature: '1' }, 'temperature'],
    ['top_p 0', { prompt: 'a', top_p: 0 }, 'top_p'],
    ['top_p above 1', { prompt: 'a', top_p: 1.5 }, 'top_p'],
    ['a fractional top_k', { prompt: 'a', top_k: 1.5 }, 'top_k'],
    ['max_tokens 0', { prompt: 'a', max_tokens: 0 }, 'max_tokens'],
    ['a negative seed', { prompt: 'a', seed: -1 }, 'seed'],
    ['an empty stop string', { prompt: 'a', stop: [''] }, 'stop'],
    ['too many stop strings', { prompt: 'a', stop: Array(17).fill('x') }, 'stop'],
    ['too many stop tokens', { prompt: 'a', stop_token_ids: Array(17).fill(1) }, 'stop_token_ids'],
    ['stream as text', { prompt: 'a', stream: 'yes' }, 'stream'],
    ['no choice', { prompt: 'a', n: 0 }, 'n'],
    ['too many choices', { prompt: 'a', n: 17 }, 'n'],
    ['more choices drawn than returned', { prompt: 'a', n: 2, best_of: 3 }, 'best_of'],
    ['echo and log probabilities', { prompt: 'a', echo: true, logprobs: 1 }, 'echo'],
    ['too many log probabilities', { prompt: 'a', logprobs: 21 }, 'logprobs'],
    ['log probabilities as in a chat', { prompt: 'a', logprobs: true }, 'logprobs'],
    ['a penalty beyond 2', { prompt: 'a', presence_penalty: 2.5 }, 'presence_penalty'],
    ['a penalty below -2', { prompt: 'a', frequency_penalty: -2.5 }, 'frequency_penalty'],
    ['a repetition penalty of 0', { prompt: 'a', repetition_penalty: 0 }, 'repetition_penalty'],
    ['a bias for a token that there is not', { prompt: 'a', logit_bias: { '4096': 1 } }, 'logit_bias'],
    ['a bias for what is no token', { prompt: 'a', logit_bias: { the: 1 } }, 'logit_bias'],
    ['a bias beyond 100', { prompt: 'a', logit_bias: { '1': 101 } }, 'logit_bias'],
    ['a list of biases', { prompt: 'a', logit_bias: [1] }, 'logit_bias'],
    [
      'too many biases',
      { prompt: 'a', logit_bias: Object.fromEntries(Array.from({ length: 301 }, (_, i) => [i, 1])) },
      'logit_bias',
    ],
    ['a suffix', { prompt: 'a', suffix: 'b' }, 'suffix'],
    ['a misspelt field', { prompt: 'a', temprature: 0 }, 'temprature'],
    ['a misspelt extension', { prompt: 'a', plateau: { domian: 'x' } }, 'plateau.domian'],
    ['a misspelt stream option', { prompt: 'a', stream_options: { usage: true } }, 'stream_options.usage'],
    ['an extension that is no object', { prompt: 'a', plateau: 'x' }, 'plateau'],
    ['a body that is no object', [], 'body'],
  ])('is refused with %s, naming the field', (_, body, field) => {
    expect(fieldOf('completions', body)).toBe(field)
  })
})

describe('a chat request', () => {
  const messages = [{ role: 'user', content: 'a' }]

  it('renders its messages, defaults to what fits, and takes both names of the length', () => {
    const conversation = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'Hello' }] },
    ]
    const generation = first('chat', { messages: conversation })
    expect(tokenizer.decode(generation.promptTokenIds)).toBe('system: Be brief.\nuser: Hello\nassistant:')
    expect(generation.sampling.maxTokens).toBeUndefined()
    const newer = first('chat', { messages, max_completion_tokens: 5 })
    expect([newer.sampling.maxTokens, newer.fields.maxTokens]).toEqual([5, 'max_completion_tokens'])
  })

  it('has its own way to ask for log probabilities', () => {
    expect(parse('chat', { messages, logprobs: true }).topLogProbs).toBe(0)
    expect(parse('chat', { messages, logprobs: true, top_logprobs: 20 }).topLogProbs).toBe(20)
    expect(parse('chat', { messages, logprobs: false, top_logprobs: 0 }).topLogProbs).toBeUndefined()
  })

  it('may say that it wants plain text', () => {
    const plain = { response_format: { type: 'text' }, modalities: ['text'], tool_choice: 'none' }
    expect(parse('chat', { messages, ...plain }).n).toBe(1)
  })

  it.each([
    ['no messages', {}, 'messages'],
    ['an empty list', { messages: [] }, 'messages'],
    ['no role', { messages: [{ content: 'a' }] }, 'messages[0].role'],
    ['no content', { messages: [{ role: 'user' }] }, 'messages[0].content'],
    ['an image', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages[0].content[0].type'],
    ['tools', { messages, tools: [{}] }, 'tools'],
    ['another format', { messages, response_format: { type: 'json_object' } }, 'response_format.type'],
    ['audio', { messages, audio: { voice: 'x' } }, 'audio'],
    ['another modality', { messages, modalities: ['text', 'audio'] }, 'modalities'],
    ['how many without logprobs', { messages, top_logprobs: 2 }, 'top_logprobs'],
    ['log probabilities as in completions', { messages, logprobs: 3 }, 'logprobs'],
    ['too many log probabilities', { messages, logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
    ['echo', { messages, echo: true }, 'echo'],
    ['a completion field', { messages, prompt: 'a' }, 'prompt'],
  ])('is refused with %s, naming the field', (_, body, field) => {
    expect(fieldOf('chat', body)).toBe(field)
  })
})
