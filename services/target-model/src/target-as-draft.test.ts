/** The path from a draft to a verdict, end to end, with the one draft that must have everything accepted. */
import { referenceForward } from '@plateau/causal-lm'
import { unpackFloats, type target } from '@plateau/contracts'
import { targetAsDraft } from '@plateau/inference'
import { readModelDirectory, type Model } from '@plateau/model-files'
import { logitProcessors, seededRandom, transformLogits, type Draft, type LogitProcessing } from '@plateau/speculation'
import { MetricRegistry } from '@plateau/telemetry'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { declareTargetMetrics } from './metrics.js'
import { TargetCalls } from './target-calls.js'
import { loadTarget, type Target } from './target.js'
import { context, generate, pack, sampled } from './testing.js'

const directory = new URL('../../../models/tiny-target', import.meta.url).pathname
const prompt = [17, 900, 33, 2100, 5, 17]
const length = 60

let model: Model
let loaded: Target
let calls: TargetCalls
let draft: Draft
beforeAll(async () => {
  model = await readModelDirectory(directory)
  loaded = await loadTarget(directory, {
    topK: 64,
    maxSequences: 2,
    maxProposal: 8,
    threads: 1,
    weights: 'f32',
    cacheBytes: 2 ** 26,
  })
  calls = new TargetCalls(
    loaded,
    { maxWaiting: 0, idleMs: 10_000, windowPositions: 128, prefixSharing: 'tenant' },
    {
      metrics: declareTargetMetrics(new MetricRegistry()),
      clock: () => 0,
      freshSeed: () => 1,
      capture: undefined,
    },
  )
  draft = await targetAsDraft(model, { version: '1', maxProposal: 5 })
})
afterAll(async () => {
  await draft.release()
  await loaded.decoder.release()
})

/** One response as serving makes it. */
async function respond(sampling: target.SamplingParams, forgetProcessors = false) {
  const random = seededRandom(3)
  const processors = forgetProcessors ? undefined : logitProcessors(sampling, prompt)
  const { temperature, topK, topP } = sampling
  let next = Promise.withResolvers<target.SpeculateRequest>()
  async function* requests(): AsyncGenerator<target.SpeculateRequest> {
    const open = { promptTokenIds: prompt, sampling, capture: undefined, promptFeatures: 0, draftVersion: '1' }
    yield { message: { $case: 'open', value: open } }
    for (;;) {
      const request = await next.promise
      next = Promise.withResolvers()
      yield request
    }
  }
  const tokens: number[] = []
  let [accepted, judged] = [0, 0]
  let proposed: readonly number[] = []
  let session: ReturnType<Draft['open']> | undefined
  for await (const { verdict } of calls.speculate(requests(), context())) {
    const { accepted: held, nextTokenId, features } = verdict!
    const emitted = [...proposed.slice(0, held), ...(nextTokenId === undefined ? [] : [nextTokenId])]
    accepted += held
    judged += Math.min(held + 1, proposed.length)
    tokens.push(...emitted)
    processors?.record(emitted)
    const rows = unpackFloats(features, 1, features.length / 4)
    if (session === undefined) session = draft.open({ tokens: [...prompt, ...tokens], features: rows })
    else session.adopt(emitted, rows)
    const room = Math.min(5, sampling.maxTokens - tokens.length - 1)
    const proposal = await session.propose(room, { temperature, topK, topP: topP || 1, processors }, random)
    proposed = proposal.tokens
    const value = { tokenIds: [...proposed], q: pack(proposal.q), rawQ: undefined, plainRounds: 0, shadowQ: undefined }
    next.resolve({ message: { $case: 'proposal', value } })
  }
  session!.close()
  return { tokens, accepted, judged }
}

const penalties: Partial<LogitProcessing> = {
  presencePenalty: 1,
  frequencyPenalty: 0.5,
  repetitionPenalty: 1.3,
  logitBias: { 900: 3, 17: -100 },
}

describe.each([0, 0.6, 1])('the target as its own draft at temperature %d', (temperature) => {
  it.each([
    ['as it is', {}],
    ['under penalties and biases', penalties],
    ['cut to its most probable tokens', { topK: 40 }],
  ])('has everything accepted: %s', async (_, change) => {
    const { tokens, accepted, judged } = await respond(sampled({ temperature, maxTokens: length, ...change }))
    expect(tokens).toHaveLength(length)
    expect(judged).toBeGreaterThan(45)
    expect(accepted / judged).toBe(1)
  })
})

it('has less accepted where it is not told about penalties', async () => {
  const { accepted, judged } = await respond(sampled({ maxTokens: length, temperature: 1, ...penalties }), true)
  expect(accepted / judged).toBeLessThan(0.95)
})

it('a response under more biases than are asked of a step is that of the plain logits', async () => {
  const logitBias = Object.fromEntries(Array.from({ length: 1500 }, (_, id) => [2 * id, 3 * Math.sin(id)]))
  const sampling = sampled({ temperature: 0, maxTokens: 12, logitBias, presencePenalty: 1 })
  const processors = logitProcessors(sampling, prompt)!
  const expected: number[] = []
  while (expected.length < 12) {
    const logits = referenceForward(model.config, model.parameters, [...prompt, ...expected]).logits.at(-1)!
    expected.push(transformLogits(logits, { temperature: 0, topK: 0, topP: 1, processors }).indexOf(1))
    processors.record(expected.slice(-1))
  }
  expect((await generate(calls, prompt, sampling)).tokens).toEqual(expected)
  expect((await respond(sampling)).tokens).toEqual(expected)
})
