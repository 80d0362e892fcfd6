import { seededRandom } from '@plateau/speculation'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { consent, generate, greedy, loadTiny, speculate, tinyConfig, type Loaded } from './testing.js'

/**
 * With 8-bit weights single steps and blocks have each a p of its own, within rounding, so that a greedy answer may part
 * from plain decoding. What holds without tolerance: every token is the best of the p that verified it.
 */
let tiny: Loaded
beforeAll(async () => {
  tiny = await loadTiny({ weights: 'int8' })
})
afterAll(() => tiny.close())

const prompt = [5, 2, 11, 7]
const length = 80

it('with int8 weights every greedy token is the most probable one of the p that verified it, accepted or not', async () => {
  const plain = await generate(tiny.calls, prompt, greedy({ maxTokens: length }))
  const random = seededRandom(17)
  const { tokens, verdicts } = await speculate(
    tiny.calls,
    prompt,
    greedy({ maxTokens: length }),
    {
      // What plain decoding said, every fourth token spoiled: accepted, replaced and bonus tokens all occur.
      propose: ({ length: at }) => ({
        tokens: plain.tokens
          .slice(at - prompt.length, at - prompt.length + 4)
          .map((token) => (random() < 0.25 ? (token + 1) % tinyConfig.vocabSize : token)),
      }),
    },
    { capture: consent('greedy') },
  )
  const [window] = tiny.windows
  expect(window!.tokenIds).toEqual(tokens)
  expect(tokens).toHaveLength(length)
  const { ids, k } = window!.top!
  expect(tokens.map((_, i) => ids[i * k])).toEqual(tokens)
  expect(new Set(verdicts.slice(1).map(({ accepted }) => accepted)).size).toBeGreaterThan(3)
})
