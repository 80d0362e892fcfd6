import { FloatFormat, target, unpackFloats, unpackTopK, type TokenWindow } from '@plateau/contracts'
import {
  argmax,
  denseDraftSignals,
  denseOverlap,
  goodnessOfFit,
  sampleIndex,
  seededRandom,
  transformLogits,
  type Sampling,
} from '@plateau/speculation'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  consent,
  context,
  generate,
  greedy,
  loadTiny,
  referenceLogits,
  sampled,
  speculate,
  tinyConfig,
  type Draft,
  type Loaded,
} from './testing.js'

const V = tinyConfig.vocabSize
const prompt = [5, 2, 11, 7]
const { FINISH_REASON_LENGTH: LENGTH, FINISH_REASON_STOP: STOP } = target.FinishReason
const { FLOAT_FORMAT_FP16: FP16, FLOAT_FORMAT_FP32: FP32 } = FloatFormat

let tiny: Loaded
beforeAll(async () => {
  tiny = await loadTiny()
})
afterAll(() => tiny.close())
beforeEach(() => {
  tiny.windows.length = 0
})

const raw = { temperature: 1, topK: 0, topP: 1 }
const rawProbs = (tokens: readonly number[]) => transformLogits(referenceLogits(tokens), raw)

async function score(promptTokenIds: number[], responseTokenIds: number[]): Promise<TokenWindow> {
  return (await tiny.calls.score({ promptTokenIds, responseTokenIds }, context())).window!
}

/** A draft that knows `text`: it proposes the right continuation, spoiling every `spoilEvery`-th token. */
function knowing(text: readonly number[], count: number, spoilEvery = 0): Draft {
  return {
    propose: ({ length }) => ({
      tokens: text
        .slice(length - prompt.length, length - prompt.length + count)
        .map((token, i) => (spoilEvery > 0 && (length + i) % spoilEvery === 0 ? (token + 1) % V : token)),
    }),
  }
}

describe('Score', () => {
  it('agrees with a plain forward pass in double precision', async () => {
    const response = [3, 3, 19, 0, 8, 14]
    const window = await score(prompt, response)
    const probs = unpackTopK(window.top!)
    expect(window.tokenIds).toEqual(response)
    expect(window.top).toMatchObject({ positions: 6, k: 5 })
    for (let i = 0; i < response.length; i++) {
      const p = rawProbs([...prompt, ...response.slice(0, i)])
      const order = Array.from(p.keys()).sort((a, b) => p[b]! - p[a]!)
      expect(window.top!.ids.slice(i * 5, i * 5 + 5)).toEqual(order.slice(0, 5))
      for (let j = 0; j < 5; j++) expect(probs[i * 5 + j]! / p[order[j]!]!).toBeCloseTo(1, 2.9)
      expect(window.tailMass[i]).toBeCloseTo(
        order.slice(5).reduce((mass, id) => mass + p[id]!, 0),
        4,
      )
      expect(window.sumSquares[i]).toBeCloseTo(
        p.reduce((total, x) => total + x * x, 0),
        4,
      )
      expect(window.entropy[i]).toBeCloseTo(-p.reduce((total, x) => total + x * Math.log(x), 0), 3)
      expect(window.tokenLogProb[i]).toBeCloseTo(Math.log(p[response[i]!]!), 3)
      expect(
        Math.exp(window.logSumExp[i]! - Math.log(sumExp(referenceLogits([...prompt, ...response.slice(0, i)])))),
      ).toBeCloseTo(1, 3)
    }
  })

  it('leads with the prompt, and says so when the prompt has no position before its only token', async () => {
    const window = await score(prompt, [1])
    const before = await score(prompt.slice(0, -1), [prompt.at(-1)!])
    expect(window).toMatchObject({ hasLead: true, leadTokenId: 7, startPosition: 0, last: true, sampleId: '' })
    expect(window.leadFeature).toEqual(before.features)
    expect(await score([5], [1])).toMatchObject({ hasLead: false, leadTokenId: 0, leadFeature: Buffer.alloc(0) })
  })
})

describe('plain rounds', () => {
  it('are answered one by one without being asked, and end with the response', async () => {
    const sampling = greedy({ maxTokens: 12 })
    const open = target.SpeculateOpen.fromPartial({ promptTokenIds: prompt, sampling })
    async function* requests(): AsyncGenerator<target.SpeculateRequest> {
      yield { message: { $case: 'open', value: open } }
      for (const plainRounds of [4, 64]) {
        yield { message: { $case: 'proposal', value: target.SpeculateProposal.fromPartial({ plainRounds }) } }
      }
    }
    const tokens: number[] = []
    for await (const { verdict } of tiny.calls.speculate(requests(), context())) tokens.push(verdict!.nextTokenId!)
    expect(tokens).toEqual((await generate(tiny.calls, prompt, sampling)).tokens)
    expect(tiny.target.decoder.openSequences).toBe(0)
  })
})

describe('Generate', () => {
  it('repeats itself with the same seed and not with another', async () => {
    const [a, b, c] = [11, 11, 12].map((seed) => generate(tiny.calls, prompt, sampled({ seed })))
    expect((await a)!.tokens).toEqual((await b)!.tokens)
    expect((await a)!.tokens).not.toEqual((await c)!.tokens)
    expect((await a)!.tokens).toHaveLength(12)
  })

  it('takes a fresh seed where none is given, and both halves of a long one', async () => {
    const fresh = await generate(tiny.calls, prompt, sampled({ seed: 0 }))
    expect(fresh.tokens).toEqual((await generate(tiny.calls, prompt, sampled({ seed: 77 }))).tokens)
    const long = await generate(tiny.calls, prompt, sampled({ seed: 2 ** 40 + 77 }))
    expect(long.tokens).not.toEqual(fresh.tokens)
  })

  it('is the chain of most probable tokens at temperature 0', async () => {
    const { tokens, finish } = await generate(tiny.calls, prompt, greedy({ maxTokens: 20 }))
    const expected: number[] = []
    while (expected.length < 20) expected.push(argmax(referenceLogits([...prompt, ...expected])))
    expect(tokens).toEqual(expected)
    expect(finish).toBe(LENGTH)
  })

  it('ends with the first stop token, its own end tokens included unless they are ignored', async () => {
    const { tokens } = await generate(tiny.calls, prompt, sampled({ seed: 5, maxTokens: 60 }))
    const stopAt = 7
    const stop = tokens[stopAt]!
    const first = tokens.indexOf(stop)
    const stopped = await generate(tiny.calls, prompt, sampled({ seed: 5, maxTokens: 60, stopTokenIds: [stop] }))
    expect(stopped).toEqual({ tokens: tokens.slice(0, first + 1), finish: STOP })
    const eosAt = tokens.indexOf(23)
    expect(eosAt).toBeGreaterThan(0)
    const ended = await generate(tiny.calls, prompt, sampled({ seed: 5, maxTokens: 60, ignoreEos: false }))
    expect(ended).toEqual({ tokens: tokens.slice(0, eosAt + 1), finish: STOP })
  })

  it('stops where the context is full', async () => {
    const { tokens, finish } = await generate(tiny.calls, Array<number>(90).fill(3), sampled({ maxTokens: 1000 }))
    expect(tokens).toHaveLength(tinyConfig.maxPositions - 90)
    expect(finish).toBe(LENGTH)
  })
})

describe('Speculate at temperature 0 equals Generate, token by token', () => {
  const length = 40
  let plain: number[]
  beforeAll(async () => {
    plain = (await generate(tiny.calls, prompt, greedy({ maxTokens: length }))).tokens
  })

  it.each([
    ['proposes nothing', () => ({ propose: () => ({ tokens: [] }) })],
    ['is always right', () => knowing(plain, 5)],
    ['is right every other time', () => knowing(plain, 4, 2)],
    ['is wrong at the third token', () => knowing(plain, 6, 3)],
    ['is always wrong', () => knowing(plain, 6, 1)],
  ] satisfies [string, () => Draft][])('with a draft that %s', async (_, draft) => {
    const { tokens, verdicts } = await speculate(tiny.calls, prompt, greedy({ maxTokens: length }), draft())
    expect(tokens).toEqual(plain)
    expect(verdicts.at(-1)!.finishReason).toBe(LENGTH)
    expect(verdicts.slice(0, -1).every(({ finishReason }) => finishReason === 0)).toBe(true)
  })

  it('and needs fewer rounds the better the draft is', async () => {
    const rounds = async (draft: Draft) =>
      (await speculate(tiny.calls, prompt, greedy({ maxTokens: length }), draft)).verdicts.length
    // The first token comes with the answer to open; then 6 a round: 1 + ceil(39 / 6).
    expect(await rounds(knowing(plain, 5))).toBe(8)
    expect(await rounds(knowing(plain, 5, 1))).toBe(length)
  })

  it('a stop token among the accepted ends the response on it, without a next token', async () => {
    const stop = plain.findIndex((token, i) => i >= 3 && plain.indexOf(token) === i)
    const sampling = greedy({ maxTokens: length, stopTokenIds: [plain[stop]!] })
    const { tokens, verdicts } = await speculate(tiny.calls, prompt, sampling, knowing(plain, stop + 2))
    expect(tokens).toEqual(plain.slice(0, stop + 1))
    expect(verdicts.at(-1)).toMatchObject({ accepted: stop, nextTokenId: undefined, finishReason: STOP })
    expect(verdicts.at(-1)!.features).toHaveLength(stop * tinyConfig.hiddenSize * 4)
  })
})

describe('Speculate', () => {
  it('responses that run at once do not touch each other', async () => {
    const prompts = [[5, 2, 11, 7], [1], [20, 20, 3]]
    const respond = async (ids: number[]) => {
      const { tokens: plain } = await generate(tiny.calls, ids, greedy({ maxTokens: 30 }))
      const draft: Draft = {
        propose: ({ length }) => {
          const from = length - ids.length
          return { tokens: plain.slice(from, from + 4).map((token, i) => ((length + i) % 3 ? token : 0)) }
        },
      }
      return { plain, tokens: (await speculate(tiny.calls, ids, greedy({ maxTokens: 30 }), draft)).tokens }
    }
    const together = await Promise.all(prompts.map(respond))
    for (const [i, ids] of prompts.entries()) {
      expect(together[i]!.tokens).toEqual(together[i]!.plain)
      expect(together[i]).toEqual(await respond(ids))
    }
  })

  it('with empty proposals draws what Generate draws from the same seed', async () => {
    const sampling = sampled({ seed: 21, maxTokens: 30, temperature: 1.2, topP: 0.9 })
    const plain = await generate(tiny.calls, prompt, sampling)
    const { tokens } = await speculate(tiny.calls, prompt, sampling, { propose: () => ({ tokens: [] }) })
    expect(tokens).toEqual(plain.tokens)
  })

  it('returns one feature row for every emitted token, the row it was drawn from', async () => {
    const { tokens: plain } = await generate(tiny.calls, prompt, greedy({ maxTokens: 20 }))
    const { tokens, verdicts } = await speculate(tiny.calls, prompt, greedy({ maxTokens: 20 }), knowing(plain, 5, 4))
    const { hiddenSize } = tinyConfig
    const features = verdicts.flatMap((v) => Array.from(unpackFloats(v.features, FP32, v.features.length / 4)))
    const scored = await score(prompt, tokens)
    const expected = unpackFloats(scored.features, FP16, tokens.length * hiddenSize)
    expect(features).toHaveLength(expected.length)
    features.forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, 2))
  })

  it('returns the prompt features asked for with the first verdict, the last of them the first token’s own', async () => {
    const rows = async (promptFeatures: number, ids = prompt) => {
      const { verdicts } = await speculate(tiny.calls, ids, greedy({ maxTokens: 1 }), knowing([], 0), {
        promptFeatures,
      })
      const { features } = verdicts[0]!
      return Array.from(unpackFloats(features, FP32, features.length / 4), (x) => x.toFixed(3))
    }
    const all = await rows(100)
    expect(all).toHaveLength(prompt.length * tinyConfig.hiddenSize)
    for (const count of [0, 1, 2, 3]) {
      expect(await rows(count)).toEqual(all.slice((prompt.length - Math.max(1, count)) * tinyConfig.hiddenSize))
    }
    expect(await rows(3, [5])).toHaveLength(tinyConfig.hiddenSize)
  })

  it('reports alpha of the judged positions, also for tokens that no list holds', async () => {
    const q = { ids: Array.from({ length: V }, (_, i) => i), probs: Float32Array.from({ length: V }, () => 1 / V) }
    const draft: Draft = { propose: () => ({ tokens: [9, 20, 1], rawQ: [q, q, q] }) }
    const { tokens, verdicts, proposals } = await speculate(tiny.calls, prompt, greedy({ maxTokens: 9 }), draft)
    let emitted = 1
    for (const [i, verdict] of verdicts.slice(1).entries()) {
      const proposed = proposals[i]!
      // What lies beyond the response's end is not judged: the last token of 9 can only be a bonus.
      expect(verdict.alpha.length).toBe(Math.min(verdict.accepted + 1, 3, 9 - emitted - 1))
      for (const [j, alpha] of verdict.alpha.entries()) {
        const before = [...prompt, ...tokens.slice(0, emitted), ...proposed.slice(0, j)]
        expect(alpha).toBeCloseTo(denseOverlap(rawProbs(before), q.probs), 4)
      }
      emitted += verdict.accepted + 1
    }
  })
})

/** A draft with a distorted and truncated view of the target itself. */
function distorted(sampling: Sampling, support: number, random: () => number): Draft {
  return {
    propose: (before) => {
      const tokens: number[] = []
      const q = [0, 1].map(() => {
        const logits = referenceLogits([...before, ...tokens]).map((z, id) => z + 1.5 * Math.sin(3 * id))
        const topK = Math.min(support, sampling.topK || V)
        const probs = transformLogits(logits, { ...sampling, topK })
        const ids = Array.from(probs.keys()).filter((id) => probs[id]! > 0)
        const row = { ids, probs: Float32Array.from(ids, (id) => probs[id]!) }
        tokens.push(row.ids[sampleIndex(row.probs, random())]!)
        return row
      })
      return { tokens, q }
    },
  }
}

describe('the response has the distribution of the target (chi-square at level .001, fixed seeds)', () => {
  it.each([
    { temperature: 1, topK: 0, topP: 1 },
    { temperature: 1.4, topK: 8, topP: 0.9 },
    { temperature: 0.05, topK: 0, topP: 1 },
  ] satisfies Sampling[])('first three tokens, %o', async (sampling) => {
    const random = seededRandom(31)
    const draft = distorted(sampling, 6, random)
    // Positions 2 and 3 come out of a round of speculation; by the tokens' classes so that the cells are well filled.
    const classes = 3
    const classOf = (token: number) => token % classes
    const counts = new Float64Array(V * classes * classes)
    for (let i = 0; i < 1500; i++) {
      const request = sampled({ ...sampling, seed: 1 + Math.floor(random() * 2 ** 31), maxTokens: 3 })
      const { tokens } = await speculate(tiny.calls, prompt, request, draft)
      counts[(tokens[0]! * classes + classOf(tokens[1]!)) * classes + classOf(tokens[2]!)]!++
    }
    const expected = new Float64Array(counts.length)
    const after = (tokens: number[]) => transformLogits(referenceLogits([...prompt, ...tokens]), sampling)
    after([]).forEach((pa, a) => {
      if (pa > 1e-12)
        after([a]).forEach((pb, b) => {
          if (pb > 1e-12)
            after([a, b]).forEach((pc, c) => {
              expected[(a * classes + classOf(b)) * classes + classOf(c)]! += pa * pb * pc
            })
        })
    })
    const { statistic, critical } = goodnessOfFit(counts, expected)
    expect(statistic).toBeLessThan(critical)
  })
})

describe('capture', () => {
  it('windows of Speculate hold what Score says about the same tokens', async () => {
    const sampling = sampled({ seed: 9, maxTokens: 30 })
    const draft = distorted(raw, 6, seededRandom(3))
    const withRaw: Draft = { propose: (before) => ({ ...draft.propose(before), rawQ: draft.propose(before).q! }) }
    const { tokens } = await speculate(tiny.calls, prompt, sampling, withRaw, { capture: consent('s1') })
    const [window] = tiny.windows
    const expected = await score(prompt, tokens)
    expect(tiny.windows).toHaveLength(1)
    expect(window).toMatchObject({
      sampleId: 's1',
      tenant: 'acme',
      domain: 'base',
      windowIndex: 0,
      startPosition: 0,
      last: true,
      capturedAtMs: 1_700_000_000_000,
      vocabSize: V,
      tokenIds: tokens,
      hasLead: true,
      leadTokenId: 7,
      provenance: {
        schemaVersion: 1,
        draftVersion: '7',
        targetFingerprint: tiny.target.description.fingerprint,
        tokenizerHash: tiny.target.description.tokenizerHash,
      },
    })
    expect(window!.top!.ids).toEqual(expected.top!.ids)
    for (const field of ['tailMass', 'sumSquares', 'entropy', 'logSumExp', 'tokenLogProb'] as const) {
      window![field].forEach((x, i) => expect(x).toBeCloseTo(expected[field][i]!, 4))
    }
    const numbers = (bytes: Uint8Array) => unpackFloats(bytes, FP16, bytes.length / 2)
    numbers(window!.features).forEach((x, i) => expect(x).toBeCloseTo(numbers(expected.features)[i]!, 2))
    numbers(window!.leadFeature).forEach((x, i) => expect(x).toBeCloseTo(numbers(expected.leadFeature)[i]!, 2))
    unpackTopK(window!.top!).forEach((x, i) => expect(x).toBeCloseTo(unpackTopK(expected.top!)[i]!, 2.5))
  })

  it('marks the positions a draft was judged at, and no others', async () => {
    const q = { ids: [9], probs: [1] }
    const draft: Draft = {
      propose: ({ length }) => (length % 2 ? { tokens: [] } : { tokens: [9, 9], rawQ: [q, q] }),
    }
    const { tokens, verdicts } = await speculate(tiny.calls, prompt, greedy({ maxTokens: 8 }), draft, {
      capture: consent('s2'),
    })
    // A verdict's alphas belong to the first tokens of its round; the bonus token has none.
    const expected = verdicts.flatMap(({ accepted, nextTokenId, alpha }) =>
      Array.from({ length: accepted + (nextTokenId === undefined ? 0 : 1) }, (_, i) => alpha[i] ?? Number.NaN),
    )
    expect(expected).toHaveLength(tokens.length)
    expect(expected.some(Number.isNaN)).toBe(true)
    expect(expected.every(Number.isNaN)).toBe(false)
    const [window] = tiny.windows
    expect(window!.draftOverlap).toEqual(expected)
    // A draft that is certain has nothing to gain and no entropy.
    const zeros = expected.map((alpha) => (Number.isNaN(alpha) ? Number.NaN : 0))
    expect(window!.draftEntropy).toEqual(zeros)
    expect(window!.draftGain).toEqual(zeros)
  })

  it('says of judged positions what the whole p and q say', async () => {
    const q = transformLogits(
      Array.from({ length: V }, (_, id) => 2 * Math.sin(5 * id)),
      raw,
    )
    const row = { ids: [...q.keys()], probs: q }
    const draft: Draft = { propose: () => ({ tokens: [9, 20, 1], q: [row, row, row], rawQ: [row, row, row] }) }
    const sampling = sampled({ seed: 3, maxTokens: 20 })
    const { tokens } = await speculate(tiny.calls, prompt, sampling, draft, { capture: consent('s6') })
    const { draftOverlap, draftGain, draftEntropy } = tiny.windows[0]!
    const judged = Array.from(tokens.keys()).filter((i) => !Number.isNaN(draftOverlap[i]!))
    expect(judged.length).toBeGreaterThan(10)
    for (const i of judged) {
      const { overlap, gain, entropy } = denseDraftSignals(rawProbs([...prompt, ...tokens.slice(0, i)]), q)
      expect(draftOverlap[i]).toBeCloseTo(overlap, 4)
      expect(draftGain[i]).toBeCloseTo(gain, 4)
      expect(draftEntropy[i]).toBeCloseTo(entropy, 4)
    }
    for (const signal of [draftGain, draftEntropy])
      expect(signal.map(Number.isNaN)).toEqual(draftOverlap.map(Number.isNaN))
  })

  it('cuts a response into windows that follow on each other', async () => {
    const short = await loadTiny({ windowPositions: 8 })
    try {
      const { tokens } = await generate(short.calls, prompt, sampled({ maxTokens: 16 }), consent('s3'))
      const whole = (await short.calls.score({ promptTokenIds: prompt, responseTokenIds: tokens }, context())).window!
      expect(short.windows.map((w) => [w.windowIndex, w.startPosition, w.tokenIds.length, w.last])).toEqual([
        [0, 0, 8, false],
        [1, 8, 8, true],
      ])
      const [a, b] = short.windows
      expect([...a!.tokenIds, ...b!.tokenIds]).toEqual(tokens)
      expect(b!.leadTokenId).toBe(tokens[7])
      const rowBytes = tinyConfig.hiddenSize * 2
      expect(b!.leadFeature).toEqual(a!.features.slice(7 * rowBytes))
      expect(b!.tokenLogProb[0]).toBeCloseTo(whole.tokenLogProb[8]!, 4)
      // No draft took part.
      expect([a!.draftOverlap, a!.draftGain, a!.draftEntropy]).toEqual([[], [], []])
      expect(a!.provenance!.draftVersion).toBe('')
    } finally {
      await short.close()
    }
  })

  it('takes nothing without consent', async () => {
    await generate(tiny.calls, prompt, sampled())
    await generate(tiny.calls, prompt, sampled(), { ...consent('s4'), consent: false })
    await score(prompt, [1, 2, 3])
    expect(tiny.windows).toEqual([])
  })

  it('keeps what was emitted before the client left, as the sample’s last window', async () => {
    const abort = new AbortController()
    const request = { promptTokenIds: prompt, sampling: sampled({ maxTokens: 50 }), capture: consent('s5') }
    let seen = 0
    for await (const _ of tiny.calls.generate(request, context(abort.signal))) if (++seen === 5) abort.abort()
    expect(tiny.windows.map((w) => [w.tokenIds.length, w.last])).toEqual([[5, true]])
  })
})

describe('places', () => {
  const endless = { promptTokenIds: prompt, sampling: sampled({ maxTokens: 80 }), capture: undefined }

  it('are given to waiting responses in order, and refused when the line is full', async () => {
    const aborts = Array.from({ length: 5 }, () => new AbortController())
    const running = aborts.map((abort) => tiny.calls.generate(endless, context(abort.signal)))
    const firsts = running.map((response) => response.next())
    // Three places, two in the line.
    await Promise.all(firsts.slice(0, 3))
    expect(tiny.metrics.sequences.value({ state: 'active' })).toBe(3)
    expect(tiny.metrics.sequences.value({ state: 'waiting' })).toBe(2)
    await expect(tiny.calls.generate(endless, context()).next()).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryable: true,
      facts: { active: 3, waiting: 2 },
    })
    await expect(tiny.calls.score({ promptTokenIds: [1], responseTokenIds: [1] }, context())).rejects.toThrow(
      'try again',
    )
    // One leaves the line, one leaves its place: the last in the line is served.
    aborts[3]!.abort(new Error('gone'))
    await expect(firsts[3]).rejects.toThrow('gone')
    aborts[0]!.abort()
    expect((await firsts[4])!.done).toBe(false)
    for (const abort of aborts) abort.abort()
    await Promise.all(running.map((response) => response.return(undefined)))
    expect(tiny.metrics.sequences.value({ state: 'active' })).toBe(0)
    expect(tiny.target.decoder.openSequences).toBe(0)
  })

  it('come back when a stream goes silent', async () => {
    const idle = await loadTiny({ idleMs: 30 })
    try {
      const open = { ...endless, promptFeatures: 0, draftVersion: '' }
      const silent = (async function* (): AsyncGenerator<target.SpeculateRequest> {
        yield { message: { $case: 'open', value: open } }
        await new Promise(() => {})
      })()
      const stream = idle.calls.speculate(silent, context())
      await stream.next()
      expect(idle.target.decoder.openSequences).toBe(1)
      await expect(stream.next()).rejects.toMatchObject({ code: 'ABORTED', facts: { idleMs: 30 } })
      expect(idle.target.decoder.openSequences).toBe(0)
    } finally {
      await idle.close()
    }
  })
})

function sumExp(logits: Float64Array): number {
  return logits.reduce((total, z) => total + Math.exp(z), 0)
}

describe('beginnings of prompts', () => {
  const long = Array.from({ length: 40 }, (_, i) => (i * 7 + 3) % 22)
  const by = (tenant: string): target.Capture => ({ consent: false, sampleId: '', tenant, domain: '' })
  const reusedAfter = async ({ calls, target: { decoder } }: Loaded, ...tenants: string[]): Promise<number[]> => {
    const reused: number[] = []
    for (const tenant of tenants) {
      const before = decoder.reusedTokens
      await generate(calls, long, greedy({ maxTokens: 2 }), by(tenant))
      reused.push(decoder.reusedTokens - before)
    }
    return reused
  }

  it('are copied within a tenant only: how fast an answer begins says nothing of what others asked', async () => {
    const own = await loadTiny()
    try {
      expect(await reusedAfter(own, 'acme', 'acme', 'other', '', 'acme')).toEqual([0, 32, 0, 0, 32])
      // Nor does it show in a tenant's prompts what was scored, or the other way round.
      const scored = [...long].reverse()
      await own.calls.score({ promptTokenIds: scored, responseTokenIds: [1] }, context())
      const before = own.target.decoder.reusedTokens
      await generate(own.calls, scored, greedy({ maxTokens: 2 }), by(''))
      expect(own.target.decoder.reusedTokens).toBe(before)
    } finally {
      await own.close()
    }
  })

  it('are copied between tenants where the operator says that they trust each other', async () => {
    const shared = await loadTiny({ prefixSharing: 'all' })
    try {
      expect(await reusedAfter(shared, 'acme', 'other', '')).toEqual([0, 32, 32])
    } finally {
      await shared.close()
    }
  })
})
