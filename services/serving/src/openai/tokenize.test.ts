import { loadTokenizer } from '@plateau/model-files'
import { describe, expect, it } from 'vitest'
import { chatPrompts } from './chat-prompt.js'
import { detokenize, tokenize } from './tokenize.js'

const tokenizer = await loadTokenizer(new URL('../../../../models/tiny-target', import.meta.url).pathname)
const options = {
  model: 'tiny',
  tokenizer,
  chat: chatPrompts('roles', undefined, tokenizer),
  maxModelLength: 256 as number | undefined,
}
const text = 'Mr. Speaker, naïve'
const tokens = tokenizer.encode(text)

it('a text is its tokens, with their names where asked', () => {
  expect(tokenize({ prompt: text }, options)).toEqual({
    count: tokens.length,
    max_model_len: 256,
    tokens,
    token_strs: null,
  })
  const named = tokenize({ model: 'tiny', prompt: ' a', add_special_tokens: false, return_token_strs: true }, options)
  expect(named).toMatchObject({ token_strs: ['Ġa'] })
})

it('a conversation is what a chat would be given, or that without an opening', () => {
  const messages = [{ role: 'user', content: 'Hi' }]
  expect(tokenize({ messages }, options)).toMatchObject({ tokens: tokenizer.encode('user: Hi\nassistant:') })
  const closed = { messages, add_generation_prompt: false }
  expect(tokenize(closed, { ...options, maxModelLength: undefined })).toMatchObject({
    tokens: tokenizer.encode('user: Hi\n'),
    max_model_len: null,
  })
})

it('tokens are their text', () => {
  expect(detokenize({ tokens }, options)).toEqual({ prompt: text })
})

describe('refused, naming the field, is', () => {
  const field = (name: string) => expect.objectContaining({ facts: expect.objectContaining({ field: name }) })
  it.each([
    ['neither a text nor a conversation', {}, 'prompt'],
    ['both', { prompt: 'a', messages: [{ role: 'user', content: 'a' }] }, 'prompt'],
    ['another model', { prompt: 'a', model: 'gpt' }, 'model'],
    ['a field of the other kind', { prompt: 'a', add_generation_prompt: true }, 'add_generation_prompt'],
    [
      'an open last message',
      { messages: [{ role: 'user', content: 'a' }], continue_final_message: true },
      'continue_final_message',
    ],
  ])('%s', (_, body, name) => {
    expect(() => tokenize(body, options)).toThrow(field(name))
  })

  it('an id that there is not, and no ids', () => {
    expect(() => detokenize({ tokens: [4096] }, options)).toThrow(field('tokens'))
    expect(() => detokenize({}, options)).toThrow(field('tokens'))
  })
})
