import type { Draft } from '@plateau/speculation'
import { expect, test } from 'vitest'
import { replayGreedy } from './greedy-acceptance.js'
import type { HeldOutWindow } from './training-data.js'

/** A draft that knows a text, and proposes it with every `wrongEvery`th token changed. */
function knowing(text: readonly number[], wrongEvery: number): Draft {
  return {
    version: 'test',
    maxProposal: 8,
    open: ({ tokens }) => {
      let at = tokens.length
      return {
        propose: (count) => {
          const proposed = text.slice(at, at + count).map((token, i) => ((at + i) % wrongEvery === 0 ? -1 : token))
          return Promise.resolve({ tokens: proposed, q: [], rawQ: [] })
        },
        adopt: (emitted, features) => {
          // The feature row of a token names it here: what is adopted together belongs together.
          expect([...features]).toEqual([...emitted])
          at += emitted.length
        },
        close: () => {},
      }
    },
    release: () => Promise.resolve(),
  }
}

function greedyWindow(text: readonly number[], isGreedy = true): HeldOutWindow {
  const tokens = Int32Array.from(text)
  const rows = {
    length: text.length,
    tokens,
    features: Float32Array.from(text),
    nextFeatures: new Float32Array(text.length),
    listed: 1,
    listedIds: tokens,
    listedProbs: new Float32Array(text.length),
    weights: new Float32Array(text.length),
  }
  return { rows, domain: 'd', temperature: 0, isGreedy, sampleId: 's' }
}

const text = Array.from({ length: 101 }, (_, i) => 1000 + i)

test('a draft that is always right has every proposal accepted', async () => {
  const [found] = await replayGreedy(knowing(text, 1000), [greedyWindow(text)], 1, 4)
  expect(found).toMatchObject({ domain: 'd', acceptanceLength: 5, byPosition: [1, 1, 1, 1] })
})

test('what follows a wrong token is not accepted, and the round yields the right one', async () => {
  // Tokens 0, 5, 10, ... are wrong: rounds begin after one of them and accept the four before the next.
  const [found] = await replayGreedy(knowing(text, 5), [greedyWindow(text)], 1, 6)
  expect(found!.acceptanceLength).toBeCloseTo(5, 6)
  expect(found!.byPosition).toEqual([1, 1, 1, 1, 0, 0])
})

test('answers that were drawn at random are left out', async () => {
  expect(await replayGreedy(knowing(text, 5), [greedyWindow(text, false)], 1, 4)).toEqual([])
})
