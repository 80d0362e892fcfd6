import { loadTokenizer } from '@plateau/model-files'
import { describe, expect, it } from 'vitest'
import { chatPrompts } from './chat-prompt.js'
import { parseRequest, type Endpoint } from './parse-request.js'

const tokenizer = await loadTokenizer(new URL('../../../../models/tiny-target', import.meta.url).pathname)

const parse = (endpoint: Endpoint, body: unknown, tenantHeader?: string) =>
  parseRequest(endpoint, body, {
    model: 'tiny',
    tokenizer,
    tenantHeader,
    chat: chatPrompts('roles', undefined, tokenizer),
  })

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
    const { generation, stream, includeUsage, returnTokenIds } = parse('completions', {
      model: 'tiny',
      prompt: 'Mr. Speaker',
    })
    expect(tokenizer.decode(generation.promptTokenIds)).toBe('Mr. Speaker')
    expect(generation.sampling).toEqual({
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
    expect([stream, includeUsage, returnTokenIds]).toEqual([false, false, false])
  })

  it('takes token ids, one string in a list, stop as text, top_k -1, and null for what is not set', () => {
    expect(parse('completions', { prompt: [3, 4] }).generation.promptTokenIds).toEqual([3, 4])
    expect(parse('completions', { prompt: ['a'] }).generation.promptTokenIds).toEqual(tokenizer.encode('a'))
    expect(parse('completions', { prompt: 'a', stop: 'x', top_k: -1, seed: null }).generation).toMatchObject({
      stop: ['x'],
      sampling: { topK: 0, seed: undefined },
    })
  })

  it('carries the extension fields', () => {
    const plateau = { domain: 'code', disable_speculation: true, capture: false, return_token_ids: true }
    const { generation, returnTokenIds } = parse('completions', { prompt: 'a', plateau })
    expect(generation).toMatchObject({ domain: 'code', speculate: false, capture: false })
    expect(returnTokenIds).toBe(true)
  })

  it("takes the tenant from the gateway's header before the body", () => {
    expect(parse('completions', { prompt: 'a', user: 'body' }).generation.tenant).toBe('body')
    expect(parse('completions', { prompt: 'a', user: 'body' }, 'header').generation.tenant).toBe('header')
  })

  it.each([
    ['no prompt', {}, 'prompt'],
    ['a prompt of another type', { prompt: 5 }, 'prompt'],
    ['several prompts', { prompt: ['a', 'b'] }, 'prompt'],
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
    ['stream as text', { prompt: 'a', stream: 'yes' }, 'stream'],
    ['two choices', { prompt: 'a', n: 2 }, 'n'],
    ['echo', { prompt: 'a', echo: true }, 'echo'],
    ['logprobs', { prompt: 'a', logprobs: 3 }, 'logprobs'],
    ['a penalty', { prompt: 'a', presence_penalty: 0.5 }, 'presence_penalty'],
    ['a misspelt field', { prompt: 'a', temprature: 0 }, 'temprature'],
    ['a misspelt extension', { prompt: 'a', plateau: { domian: 'x' } }, 'plateau.domian'],
    ['an extension that is no object', { prompt: 'a', plateau: 'x' }, 'plateau'],
    ['a body that is no object', [], 'body'],
  ])('is refused with %s, naming the field', (_, body, field) => {
    expect(fieldOf('completions', body)).toBe(field)
  })
})

describe('a chat request', () => {
  it('renders its messages, defaults to what fits, and takes both names of the length', () => {
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'Hello' }] },
    ]
    const { generation } = parse('chat', { messages })
    expect(tokenizer.decode(generation.promptTokenIds)).toBe('system: Be brief.\nuser: Hello\nassistant:')
    expect(generation.sampling.maxTokens).toBeUndefined()
    const newer = parse('chat', { messages, max_completion_tokens: 5 }).generation
    expect([newer.sampling.maxTokens, newer.fields.maxTokens]).toEqual([5, 'max_completion_tokens'])
  })

  it.each([
    ['no messages', {}, 'messages'],
    ['an empty list', { messages: [] }, 'messages'],
    ['no role', { messages: [{ content: 'a' }] }, 'messages[0].role'],
    ['no content', { messages: [{ role: 'user' }] }, 'messages[0].content'],
    ['an image', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages[0].content[0].type'],
    ['tools', { messages: [{ role: 'user', content: 'a' }], tools: [{}] }, 'tools'],
    ['a completion field', { messages: [{ role: 'user', content: 'a' }], prompt: 'a' }, 'prompt'],
  ])('is refused with %s, naming the field', (_, body, field) => {
    expect(fieldOf('chat', body)).toBe(field)
  })
})
