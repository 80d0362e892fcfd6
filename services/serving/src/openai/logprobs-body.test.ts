import { loadTokenizer } from '@plateau/model-files'
import { expect, it } from 'vitest'
import type { ScoredToken } from '../scored-tokens.js'
import { chatLogProbs, completionLogProbs } from './logprobs-body.js'

const tokenizer = await loadTokenizer(new URL('../../../../models/tiny-target', import.meta.url).pathname)
const [letter] = tokenizer.encode('a')
const parts = tokenizer.encode('🙂')
const end = 0

const scored: ScoredToken[] = [
  { id: letter!, offset: 0, logprobs: { logProb: -0.5, topIds: [letter!, parts[0]!], topLogProbs: [-0.5, -1.5] } },
  { id: parts[0]!, offset: 1, logprobs: { logProb: -Infinity, topIds: [letter!, end], topLogProbs: [-0.25, -2] } },
]

it('chats have each token with its bytes, and the most probable ones', () => {
  const { content } = chatLogProbs(scored, 2, tokenizer)
  expect(content[0]).toEqual({
    token: 'a',
    logprob: -0.5,
    bytes: [0x61],
    top_logprobs: [
      { token: 'a', logprob: -0.5, bytes: [0x61] },
      { token: String.raw`bytes:\xf0`, logprob: -1.5, bytes: [0xf0] },
    ],
  })
  expect(content[1]).toMatchObject({ token: String.raw`bytes:\xf0`, logprob: -9999, bytes: [0xf0] })
  // A special token stands for no text.
  expect(content[1]!.top_logprobs[1]).toEqual({ token: '<|endoftext|>', logprob: -2, bytes: null })
  expect(chatLogProbs(scored, 0, tokenizer).content[0]!.top_logprobs).toEqual([])
})

it('completions have lists, where the emitted token is always among the most probable ones', () => {
  expect(completionLogProbs(scored, 1, tokenizer)).toEqual({
    tokens: ['a', String.raw`bytes:\xf0`],
    token_logprobs: [-0.5, -9999],
    top_logprobs: [{ a: -0.5 }, { a: -0.25, [String.raw`bytes:\xf0`]: -9999 }],
    text_offset: [0, 1],
  })
  expect(completionLogProbs(scored, 0, tokenizer).top_logprobs[0]).toEqual({ a: -0.5 })
})
