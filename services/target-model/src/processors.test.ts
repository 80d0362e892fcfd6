/** Penalties and biases at the target: against plain logits in double precision, and lossless with any draft. */
import { target } from '@plateau/contracts'
import {
  goodnessOfFit,
  logitProcessors,
  sampleIndex,
  seededRandom,
  transformLogits,
  type LogitProcessing,
  type Random,
} from '@plateau/speculation'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  consent,
  context,
  generate,
  loadTiny,
  pack,
  referenceLogits,
  sampled,
  speculate,
  tinyConfig,
  type Draft,
  type Loaded,
} from './testing.js'

const V = tinyConfig.vocabSize
const prompt = [5, 2, 11, 7]

let tiny: Loaded
beforeAll(async () => {
  tiny = await loadTiny()
})
afterAll(() => tiny.close())
beforeEach(() => {
  tiny.windows.length = 0
})

const none: LogitProcessing = { presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 0, logitBias: {} }
const processings: [string, LogitProcessing][] = [
  ['presence penalty', { ...none, presencePenalty: 1.5 }],
  ['frequency penalty', { ...none, frequencyPenalty: 0.75 }],
  ['frequency reward', { ...none, frequencyPenalty: -0.5 }],
  ['repetition penalty', { ...none, repetitionPenalty: 1.5 }],
  ['bias', { ...none, logitBias: { 3: 4, 9: -100, 20: 1.5 } }],
  [
    'all of them',
    { presencePenalty: 0.5, frequencyPenalty: 0.25, repetitionPenalty: 1.25, logitBias: { 4: 2, 7: -3 } },
  ],
]

type Sampled = Pick<target.SamplingParams, 'temperature' | 'topK' | 'topP'>
const plain = (temperature: number): Sampled => ({ temperature, topK: 0, topP: 1 })

/** p after the prompt, `emitted`, and the proposed tokens `ahead`, by the plain transformation. */
function reference(processing: LogitProcessing, sampling: Sampled, emitted: readonly number[], ahead: number[] = []) {
  const processors = logitProcessors(processing, prompt)
  processors?.record(emitted)
  return transformLogits(referenceLogits([...prompt, ...emitted, ...ahead]), { ...sampling, processors }, ahead)
}

interface DraftOptions {
  readonly sampling: Sampled
  readonly processing: LogitProcessing
  readonly random: Random
  readonly count?: number
  /** How far its logits are from the target's. */
  readonly distortion?: number
  readonly support?: number
}

function draftOf({ sampling, processing, random, count = 3, distortion = 0, support = V }: DraftOptions): Draft {
  return {
    propose: (before) => {
      const processors = logitProcessors(processing, prompt)
      processors?.record(before.slice(prompt.length))
      const tokens: number[] = []
      const q = Array.from({ length: count }, () => {
        const logits = referenceLogits([...before, ...tokens]).map((z, id) => z + distortion * Math.sin(3 * id))
        const topK = Math.min(support, sampling.topK || V)
        const probs = transformLogits(logits, { ...sampling, topK, processors }, tokens)
        const ids = Array.from(probs.keys()).filter((id) => probs[id]! > 0)
        const row = { ids, probs: Float32Array.from(ids, (id) => probs[id]!) }
        tokens.push(ids[sampleIndex(row.probs, random())]!)
        return row
      })
      return { tokens, q: sampling.temperature === 0 ? [] : q }
    },
  }
}

function accepted(verdicts: readonly target.SpeculateVerdict[], count: number, length: number) {
  let [judged, held, emitted] = [0, 0, 1]
  for (const verdict of verdicts.slice(1)) {
    const offered = Math.min(count, length - emitted - 1)
    held += verdict.accepted
    judged += Math.min(verdict.accepted + 1, offered)
    emitted += verdict.accepted + 1
  }
  return { held, judged }
}

describe('greedy decoding under processors', () => {
  it.each(processings)(
    'is the chain of best adjusted logits, with and without proposals: %s',
    async (_, processing) => {
      const sampling = sampled({ ...plain(0), ...processing, maxTokens: 40 })
      const expected: number[] = []
      while (expected.length < 40) expected.push(reference(processing, plain(0), expected).indexOf(1))
      expect((await generate(tiny.calls, prompt, sampling)).tokens).toEqual(expected)
      for (const distortion of [0, 1, 30]) {
        const draft = draftOf({ sampling: plain(0), processing, random: seededRandom(1), distortion })
        expect((await speculate(tiny.calls, prompt, sampling, draft)).tokens).toEqual(expected)
      }
    },
  )
})

const samplings: Sampled[] = [
  plain(1),
  plain(0.6),
  { temperature: 1, topK: 8, topP: 0.9 },
  // Below what the step's log-sum-exp can tell: from all logits.
  { temperature: 0.05, topK: 0, topP: 1 },
]

describe('the response has the distribution of the processed target (chi-square at level .001, fixed seeds)', () => {
  const classes = 3
  const cellOf = ([a, b, c]: readonly number[]) => (a! * classes + (b! % classes)) * classes + (c! % classes)

  function expectedCells(processing: LogitProcessing, sampling: Sampled): Float64Array {
    const cells = new Float64Array(V * classes * classes)
    const follow = (emitted: number[], mass: number): void => {
      if (emitted.length === 3) cells[cellOf(emitted)]! += mass
      else reference(processing, sampling, emitted).forEach((p, id) => p > 1e-12 && follow([...emitted, id], mass * p))
    }
    follow([], 1)
    return cells
  }

  it.each(processings.flatMap(([name, processing]) => samplings.map((sampling) => ({ name, processing, sampling }))))(
    'three tokens: $name, $sampling',
    async ({ processing, sampling }) => {
      const random = seededRandom(47)
      const draft = draftOf({ sampling, processing, random, count: 2, distortion: 1.5, support: 6 })
      const counts = new Float64Array(V * classes * classes)
      for (let i = 0; i < 500; i++) {
        const seed = 1 + Math.floor(random() * 2 ** 31)
        const request = sampled({ ...sampling, ...processing, seed, maxTokens: 3 })
        counts[cellOf((await speculate(tiny.calls, prompt, request, draft)).tokens)]!++
      }
      const { statistic, critical } = goodnessOfFit(counts, expectedCells(processing, sampling))
      expect(statistic).toBeLessThan(critical)
    },
  )

  it.each(samplings)('Generate, all processors: %o', async (sampling) => {
    const [, processing] = processings.at(-1)!
    const random = seededRandom(48)
    const counts = new Float64Array(V * classes * classes)
    for (let i = 0; i < 1000; i++) {
      const request = sampled({ ...sampling, ...processing, seed: 1 + Math.floor(random() * 2 ** 31), maxTokens: 3 })
      counts[cellOf((await generate(tiny.calls, prompt, request)).tokens)]!++
    }
    const { statistic, critical } = goodnessOfFit(counts, expectedCells(processing, sampling))
    expect(statistic).toBeLessThan(critical)
  })
})

describe('a draft that is the target', () => {
  it.each(processings)('has everything accepted under processors: %s', async (_, processing) => {
    for (const sampling of [plain(0), plain(0.6), plain(1), { temperature: 1, topK: 8, topP: 1 }]) {
      const draft = draftOf({ sampling, processing, random: seededRandom(5) })
      const request = sampled({ ...sampling, ...processing, maxTokens: 60 })
      const { tokens, verdicts } = await speculate(tiny.calls, prompt, request, draft)
      const { held, judged } = accepted(verdicts, 3, tokens.length)
      expect(judged).toBeGreaterThan(40)
      expect(held).toBe(judged)
    }
  })

  it('has less accepted where it leaves the processors out', async () => {
    const processing = { ...none, presencePenalty: 2, frequencyPenalty: 2 }
    const draft = draftOf({ sampling: plain(1), processing: none, random: seededRandom(5) })
    const request = sampled({ ...plain(1), ...processing, maxTokens: 80 })
    const { tokens, verdicts } = await speculate(tiny.calls, prompt, request, draft)
    const { held, judged } = accepted(verdicts, 3, tokens.length)
    expect(held / judged).toBeLessThan(0.75)
  })
})

it('every token may be affected, although the step lists 5', async () => {
  const logitBias = Object.fromEntries(Array.from({ length: V }, (_, id) => [id, 2 * Math.sin(7 * id)]))
  const processing = { ...none, logitBias, presencePenalty: 1 }
  const sampling = sampled({ ...plain(0), ...processing, maxTokens: 20 })
  const expected: number[] = []
  while (expected.length < 20) expected.push(reference(processing, plain(0), expected).indexOf(1))
  expect((await generate(tiny.calls, prompt, sampling)).tokens).toEqual(expected)
})

describe('what is raw stays raw under processors', () => {
  const [, processing] = processings.at(-1)!
  const sampling = sampled({ ...plain(0.6), ...processing, seed: 9, maxTokens: 20 })
  const rawLogProbs = (emitted: readonly number[]) =>
    transformLogits(referenceLogits([...prompt, ...emitted]), plain(1)).map(Math.log)

  it('captured windows hold what Score says about the same tokens', async () => {
    const { tokens } = await generate(tiny.calls, prompt, sampling, consent('s1'))
    const { window } = await tiny.calls.score({ promptTokenIds: prompt, responseTokenIds: tokens }, context())
    const [captured] = tiny.windows
    expect(captured!.tokenIds).toEqual(tokens)
    expect(captured!.top!.ids).toEqual(window!.top!.ids)
    for (const field of ['tokenLogProb', 'logSumExp', 'entropy'] as const) {
      captured![field].forEach((x, i) => expect(x).toBeCloseTo(window![field][i]!, 4))
    }
  })

  it('log probabilities are those of raw p, the most probable tokens beside each', async () => {
    const draft = draftOf({ sampling: plain(0.6), processing, random: seededRandom(5), distortion: 1 })
    const request = { ...sampling, logprobs: 4 }
    const { tokens, verdicts } = await speculate(tiny.calls, prompt, request, draft)
    const all = verdicts.flatMap(({ logprobs }) => logprobs)
    expect(all).toHaveLength(tokens.length)
    for (const [i, { logProb, topIds, topLogProbs }] of all.entries()) {
      const expected = rawLogProbs(tokens.slice(0, i))
      const order = Array.from(expected.keys()).sort((a, b) => expected[b]! - expected[a]!)
      expect(logProb).toBeCloseTo(expected[tokens[i]!]!, 3)
      expect(topIds).toEqual(order.slice(0, 3))
      topLogProbs.forEach((x, j) => expect(x).toBeCloseTo(expected[order[j]!]!, 3))
    }
  })

  it('Generate says them as Speculate does', async () => {
    const request = { promptTokenIds: prompt, sampling: { ...sampling, logprobs: 3 }, capture: undefined }
    const plainly: (target.TokenLogProbs | undefined)[] = []
    for await (const { logprobs } of tiny.calls.generate(request, context())) plainly.push(logprobs)
    const { verdicts } = await speculate(tiny.calls, prompt, request.sampling, { propose: () => ({ tokens: [] }) })
    expect(plainly).toHaveLength(20)
    expect(verdicts.flatMap(({ logprobs }) => logprobs)).toEqual(plainly)
  })

  it('log probabilities: one is the emitted token’s alone, none come unasked, and no more than a step lists', async () => {
    const first = async (logprobs: number) => {
      const request = { promptTokenIds: prompt, sampling: { ...sampling, logprobs }, capture: undefined }
      for await (const message of tiny.calls.generate(request, context())) return message.logprobs
    }
    expect(await first(0)).toBeUndefined()
    expect(await first(1)).toMatchObject({ topIds: [], topLogProbs: [] })
    expect((await first(21))!.topIds).toHaveLength(5)
  })
})

describe('shadow rows', () => {
  const rowOf = (seed: number, support: number) => {
    const random = seededRandom(seed)
    const logits = Array.from({ length: V }, () => 4 * random())
    const probs = transformLogits(logits, { temperature: 1, topK: support, topP: 1 })
    const ids = Array.from(probs.keys()).filter((id) => probs[id]! > 0)
    // Cut to its first tokens, so that it sums to less than 1.
    return { ids, probs: Float32Array.from(ids, (id) => 0.9 * probs[id]!) }
  }
  const shadows = Array.from({ length: 8 }, (_, i) => rowOf(i + 1, 4 + 2 * i))
  const expected = (emitted: readonly number[]) => {
    const p = transformLogits(referenceLogits([...prompt, ...emitted]), plain(1))
    return shadows.map(({ ids, probs }) => ids.reduce((alpha, id, i) => alpha + Math.min(p[id]!, probs[i]!), 0))
  }

  it.each([
    ['beside a proposal', 2],
    ['without one', 0],
  ])('are judged by raw p at the round’s first position, %s', async (_, count) => {
    const [, processing] = processings.at(-1)!
    const drafted = draftOf({ sampling: plain(0.6), processing, random: seededRandom(5), count, distortion: 2 })
    const draft: Draft = { propose: (before) => ({ ...drafted.propose(before), shadowQ: shadows }) }
    const request = sampled({ ...plain(0.6), ...processing, maxTokens: 12 })
    const { tokens, verdicts } = await speculate(tiny.calls, prompt, request, draft)
    expect(verdicts[0]!.shadowAlpha).toEqual([])
    let emitted = 1
    for (const { accepted: held, shadowAlpha } of verdicts.slice(1)) {
      const alphas = expected(tokens.slice(0, emitted))
      expect(shadowAlpha).toHaveLength(8)
      shadowAlpha.forEach((alpha, i) => expect(alpha).toBeCloseTo(alphas[i]!, 4))
      emitted += held + 1
    }
  })

  it('belong to the first of the plain rounds that a proposal asks for', async () => {
    const open = target.SpeculateOpen.fromPartial({ promptTokenIds: prompt, sampling: sampled() })
    const proposal = target.SpeculateProposal.fromPartial({ plainRounds: 3, shadowQ: pack(shadows)! })
    async function* requests(): AsyncGenerator<target.SpeculateRequest> {
      yield { message: { $case: 'open', value: open } }
      yield { message: { $case: 'proposal', value: proposal } }
    }
    const alphas: number[] = []
    for await (const { verdict } of tiny.calls.speculate(requests(), context())) {
      alphas.push(verdict!.shadowAlpha.length)
    }
    expect(alphas).toEqual([0, 8, 0, 0, 0])
  })

  it('change no token and enter no window', async () => {
    const drafted = draftOf({ sampling: plain(1), processing: none, random: seededRandom(5), distortion: 2 })
    const request = sampled({ maxTokens: 20 })
    const without = await speculate(tiny.calls, prompt, request, drafted)
    const again = draftOf({ sampling: plain(1), processing: none, random: seededRandom(5), distortion: 2 })
    const draft: Draft = { propose: (before) => ({ ...again.propose(before), shadowQ: shadows }) }
    const withThem = await speculate(tiny.calls, prompt, request, draft, { capture: consent('s2') })
    expect(withThem.tokens).toEqual(without.tokens)
    expect(tiny.windows[0]!.draftOverlap).toEqual([])
  })
})
