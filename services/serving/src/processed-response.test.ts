/** Penalties and biases from a request through draft and target. */
import { target } from '@plateau/contracts'
import { createClient } from '@plateau/rpc'
import { logitProcessors, seededRandom, SpeculationController, transformLogits } from '@plateau/speculation'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openSpeculateStream } from './speculate-stream.js'
import { speculativeResponse } from './speculative-response.js'
import { MarkovDraft } from './testing/markov-draft.js'
import { markovLogits, startMarkovTarget, type MarkovTarget } from './testing/markov-target.js'

const V = 200
const prompt = [3, 4]
const penalties = { presencePenalty: 1.5, frequencyPenalty: 0.5, repetitionPenalty: 1.2, logitBias: { 7: 3 } }

let markov: MarkovTarget
let client: target.TargetServiceClient
beforeAll(async () => {
  markov = await startMarkovTarget({ vocabSize: V, fingerprint: 'f', tokenizerHash: 't' })
  client = createClient(target.TargetServiceClient, markov.address)
})
afterAll(async () => {
  client.close()
  await markov.stop()
})

/** With a draft that knows the target, but for every `wrongEvery`-th token. */
async function respond(change: Partial<target.SamplingParams>, wrongEvery: number) {
  const sampling = target.SamplingParams.fromPartial({ topP: 1, seed: 5, maxTokens: 60, ...penalties, ...change })
  const draft = new MarkovDraft('1', V, wrongEvery)
  const response = speculativeResponse(
    { promptTokenIds: prompt, sampling, capture: target.Capture.create() },
    {
      stream: openSpeculateStream(
        client,
        { signal: new AbortController().signal, deadlineMs: 20_000 },
        { stallMs: 20_000, onHeard: () => {} },
      ),
      maxProposal: 4,
      promptFeatures: 1,
      proposer: {
        draft,
        controller: new SpeculationController({ maxProposal: 4 }),
        kind: '',
        lookupTokens: undefined,
        random: seededRandom(3),
        clockUs: () => 0,
        onError: (error) => expect.unreachable(String(error)),
      },
      paired: undefined,
    },
  )
  const tokens: number[] = []
  let [accepted, judged] = [0, 0]
  for await (const round of response) {
    tokens.push(...round.tokens)
    accepted += round.accepted
    judged += round.judged
  }
  return { tokens, accepted, judged }
}

it('at temperature 0 is the plain chain under penalties, whatever the draft gets wrong', async () => {
  const processors = logitProcessors(penalties, prompt)!
  const expected: number[] = []
  while (expected.length < 60) {
    const logits = markovLogits(expected.at(-1) ?? prompt.at(-1)!, V)
    expected.push(transformLogits(logits, { temperature: 0, topK: 0, topP: 1, processors }).indexOf(1))
    processors.record(expected.slice(-1))
  }
  for (const wrongEvery of [1, 3, 1000])
    expect((await respond({ temperature: 0 }, wrongEvery)).tokens).toEqual(expected)
})

it.each([0, 1])('a draft that knows the target has everything accepted at temperature %d', async (temperature) => {
  const { accepted, judged } = await respond({ temperature }, 1_000_000)
  expect(judged).toBeGreaterThan(30)
  expect(accepted).toBe(judged)
})
