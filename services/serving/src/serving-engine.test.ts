import { target as wire } from '@plateau/contracts'
import { loadTokenizer } from '@plateau/model-files'
import { DecodingModes, goodnessOfFit, seededRandom, transformLogits } from '@plateau/speculation'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { afterEach, describe, expect, it } from 'vitest'
import { AcceptanceLedger } from './acceptance-ledger.js'
import { Admission } from './admission.js'
import { BoundedLabels } from './bounded-labels.js'
import { UNASSIGNED, type Assignment } from './rollouts/draft-fleet.js'
import { ServingEngine, type GenerationRequest, type ServingEngineOptions } from './serving-engine.js'
import { declareServingMetrics } from './serving-metrics.js'
import { TargetLink } from './target-link.js'
import { MarkovDraft } from './testing/markov-draft.js'
import { NewestDraft } from './testing/newest-draft.js'
import { greedyResponse, markovLogits, startMarkovTarget, type MarkovTargetOptions } from './testing/markov-target.js'

const tokenizer = await loadTokenizer(new URL('../../../models/tiny-target', import.meta.url).pathname)
const V = 200
const identity = { fingerprint: 'f', tokenizerHash: 't' }
const never = new AbortController().signal

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function setUp(targetOptions: Partial<MarkovTargetOptions> = {}, options: Partial<ServingEngineOptions> = {}) {
  const target = await startMarkovTarget({ vocabSize: V, ...identity, ...targetOptions })
  closers.push(() => target.stop())
  const mismatches: Error[] = []
  const onMismatch = (error: Error): void => void mismatches.push(error)
  const link = new TargetLink({
    address: target.address,
    expected: identity,
    stallMs: 10_000,
    logger: silentLogger,
    onMismatch,
  })
  link.start()
  closers.push(() => link.close())
  const metrics = declareServingMetrics(new MetricRegistry())
  const [tenants, domains] = [new BoundedLabels(8), new BoundedLabels(8)]
  const ledger = new AcceptanceLedger({ metrics, tenants, domains, maxVersions: 8 })
  const holder = new NewestDraft()
  let id = 0
  const engine = new ServingEngine({
    model: 'markov',
    target: link,
    tokenizer,
    drafts: holder,
    admission: new Admission({ maxConcurrent: 4, maxWaiting: 4, maxQueueMs: 10_000, nowMs: () => 0 }),
    ledger,
    metrics,
    logger: silentLogger,
    timeoutMs: 10_000,
    maxTokens: undefined,
    maxPromptTokens: undefined,
    maxProposal: 8,
    promptFeatures: 3,
    speculation: true,
    modes: new DecodingModes(() => 1),
    promptLookup: false,
    mayCapture: (tenant) => tenant !== 'private',
    // Held still: how much is proposed must not depend on how busy this machine is.
    nowMs: () => 0,
    random: seededRandom(7),
    newId: () => `sample-${id++}`,
    ...options,
  })
  await until(() => link.whyNotReady() === undefined || mismatches.length > 0)
  return { target, link, metrics, ledger, holder, engine, mismatches }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

const request = (
  prompt: readonly number[],
  maxTokens: number,
  more: Partial<GenerationRequest> = {},
): GenerationRequest => ({
  operation: 'text_completion',
  promptTokenIds: prompt,
  sampling: wire.SamplingParams.fromPartial({ temperature: 0, topK: 0, topP: 1, seed: 1, maxTokens }),
  stop: [],
  tenant: '',
  domain: '',
  speculate: true,
  capture: true,
  fields: { prompt: 'prompt', maxTokens: 'max_tokens' },
  ...more,
})

async function run(engine: ServingEngine, asked: GenerationRequest, signal: AbortSignal = never) {
  const generation = engine.generate(asked, signal)
  const tokens: number[] = []
  let finish: string | undefined
  for await (const piece of generation.pieces) {
    tokens.push(...piece.tokenIds)
    finish = piece.finish
  }
  return { tokens, finish, stats: generation.stats() }
}

describe('a response', () => {
  it('at temperature 0 is the target token by token, with a draft and without', async () => {
    const { engine, holder, ledger } = await setUp()
    const plain = await run(engine, request([3, 4], 60))
    expect(plain).toMatchObject({ finish: 'length', stats: { draftVersion: '0', numDrafts: 0, numEmittedTokens: 60 } })
    expect(plain.tokens).toEqual(greedyResponse([3, 4], 60, V))

    holder.swap(new MarkovDraft('1', V), 1)
    const drafted = await run(engine, request([3, 4], 60))
    expect(drafted.tokens).toEqual(plain.tokens)
    expect(drafted.stats.draftVersion).toBe('1')
    expect(drafted.stats.numAcceptedTokens).toBeGreaterThan(20)
    expect(drafted.stats.numAcceptedTokens).toBeLessThan(drafted.stats.numDraftTokens)
    expect(ledger.totals().get('1')?.alphaPositions).toBeGreaterThan(20)
  })

  it('says how long the target worked on its proposals, and counts no plain round', async () => {
    const { engine, holder, metrics } = await setUp()
    await run(engine, request([3, 4], 30, { speculate: false }))
    expect(metrics.roundSeconds.value({ part: 'target' })).toBe(0)
    holder.swap(new MarkovDraft('1', V), 1)
    const { stats } = await run(engine, request([3, 4], 30))
    // MarkovTarget says 20,000 us for a round and 800 more for each proposed token.
    const expected = (20_000 * stats.numDrafts + 800 * stats.numDraftTokens) / 1e6
    expect(metrics.roundSeconds.value({ part: 'target' })).toBeCloseTo(expected, 9)
  })

  it('is what two versions are compared on where nothing is proposed, as far as that may cost', async () => {
    const candidate = new MarkovDraft('2', V)
    const holder = new NewestDraft()
    holder.swap(candidate, 2)
    closers.push(() => holder.close())
    let compared = 0
    const assign = (): Assignment => {
      const assigned = holder.assign()
      const release = (): void => assigned.release()
      const lease = { loaded: assigned.draft!, release }
      const record = (): void => void compared++
      return { ...UNASSIGNED, pair: { candidate: lease, incumbent: undefined, stage: 'watch', record }, release }
    }
    const { engine } = await setUp({}, { drafts: { assign } })
    const positions: number[] = []
    for (let i = 0; i < 60; i++) {
      const before = compared
      const { tokens, stats } = await run(engine, request([3, 4], 60))
      expect(tokens).toEqual(greedyResponse([3, 4], 60, V))
      expect(stats.numDrafts).toBe(0)
      positions.push(compared - before)
    }
    // Every fourth token or so; half of what is saved for comparisons is for versions that wait for theirs.
    expect(Math.min(...positions.slice(0, 30))).toBeGreaterThanOrEqual(12)
    const after = positions.slice(40)
    expect(after.filter((count) => count > 0).length).toBeLessThan(after.length / 4)
  })

  it('is plain where the request asks for it', async () => {
    const { engine, holder } = await setUp()
    const draft = new MarkovDraft('1', V)
    holder.swap(draft, 1)
    const { stats } = await run(engine, request([3], 20, { speculate: false }))
    expect(stats).toMatchObject({ draftVersion: '0', numDrafts: 0 })
    expect(draft.proposals).toBe(0)
  })

  it('has the distribution of the target at temperature 1, whatever the draft proposes', async () => {
    const { engine, holder } = await setUp()
    const draft = new MarkovDraft('1', V, 2)
    holder.swap(draft, 1)
    const start = 5
    const successors: number[] = []
    for (let seed = 0; seed < 400; seed++) {
      const sampling = wire.SamplingParams.fromPartial({ temperature: 1, topK: 0, topP: 1, seed, maxTokens: 3 })
      const { tokens } = await run(engine, request([9, start], 3, { sampling }))
      successors.push(tokens[1]!)
    }
    const probs = transformLogits(markovLogits(start, V), { temperature: 1, topK: 0, topP: 1 })
    // The second token is the first that a draft can touch: its distribution is that of two steps of the target.
    const second = new Float64Array(V)
    for (const [first, p] of probs.entries()) {
      if (p < 1e-9) continue
      transformLogits(markovLogits(first, V), { temperature: 1, topK: 0, topP: 1 }).forEach(
        (q, id) => (second[id]! += p * q),
      )
    }
    const observed = new Float64Array(V)
    for (const token of successors) observed[token]! += 1
    const { statistic, critical } = goodnessOfFit(observed, second)
    expect(statistic).toBeLessThan(critical)
    expect(draft.proposals).toBeGreaterThan(300)
  })

  it('goes on without a draft that fails while proposing', async () => {
    const { engine, holder, metrics } = await setUp()
    const broken = new MarkovDraft('1', V)
    const open = broken.open.bind(broken)
    broken.open = (start) => ({ ...open(start), propose: () => Promise.reject(new Error('out of memory')) })
    holder.swap(broken, 1)
    const { tokens } = await run(engine, request([3, 4], 20))
    expect(tokens).toEqual(greedyResponse([3, 4], 20, V))
    // Once: a draft that has failed is not asked again.
    expect(metrics.draftErrors.value({})).toBe(1)
    expect(broken.open_).toBe(0)
  })

  it('ends with a stop string, and the target is told at once', async () => {
    const { engine, target } = await setUp({ beforeVerdict: () => new Promise((resolve) => setTimeout(resolve, 5)) })
    const expected = greedyResponse([3, 4], 40, V)
    const text = tokenizer.decode(expected)
    const { finish, tokens } = await run(engine, request([3, 4], 40, { stop: [text.slice(10, 13)] }))
    expect(finish).toBe('stop')
    expect(tokens).toEqual(expected.slice(0, tokens.length))
    expect(tokens.length).toBeLessThan(30)
    await until(() => target.active() === 0)
    expect(target.cancelled()).toBe(1)
  })

  it('carries tenant, domain and consent to the target', async () => {
    const { engine, target } = await setUp()
    await run(engine, request([1], 1, { tenant: 'a', domain: 'code' }))
    await run(engine, request([1], 1, { tenant: 'a', capture: false }))
    await run(engine, request([1], 1, { tenant: 'private' }))
    expect(target.opened.map(({ capture }) => capture)).toEqual([
      { consent: true, sampleId: 'sample-0', tenant: 'a', domain: 'code' },
      { consent: false, sampleId: 'sample-1', tenant: 'a', domain: '' },
      { consent: false, sampleId: 'sample-2', tenant: 'private', domain: '' },
    ])
  })
})

it('alpha is measured in every round that is captured, and in some of those that are not', async () => {
  const alphas = async (capture: boolean) => {
    const { engine, holder, ledger } = await setUp()
    holder.swap(new MarkovDraft('1', V), 1)
    await run(engine, request([3, 4], 120, { capture }))
    const { numDrafts, alphaPositions } = ledger.totals().get('1')!
    return alphaPositions / numDrafts
  }
  const [captured, sampled] = [await alphas(true), await alphas(false)]
  expect(captured).toBeGreaterThan(1)
  expect(sampled).toBeGreaterThan(0.1 * captured)
  expect(sampled).toBeLessThan(0.5 * captured)
})

describe('copies from prompt and response', () => {
  const lookup = { promptLookup: true }

  it('change no token at temperature 0, with a draft and without, and are counted apart', async () => {
    const { engine, holder, ledger } = await setUp({}, lookup)
    // At temperature 0 this target soon repeats itself.
    const expected = greedyResponse([3, 4], 80, V)
    const alone = await run(engine, request([3, 4], 80))
    expect(alone.tokens).toEqual(expected)
    expect(alone.stats).toMatchObject({ draftVersion: '0', numDraftTokens: 0, numEmittedTokens: 80 })
    expect(alone.stats.numAcceptedLookupTokens).toBeGreaterThan(30)
    holder.swap(new MarkovDraft('1', V, 2), 1)
    const both = await run(engine, request([3, 4], 80))
    expect(both.tokens).toEqual(expected)
    expect(both.stats.numAcceptedLookupTokens).toBeGreaterThan(10)
    expect(both.stats.numDraftTokens).toBeGreaterThan(0)
    const totals = ledger.totals()
    expect(totals.get('prompt-lookup')?.numAcceptedTokens).toBe(
      alone.stats.numAcceptedLookupTokens + both.stats.numAcceptedLookupTokens,
    )
    expect(totals.get('1')?.numDraftTokens).toBe(both.stats.numDraftTokens)
    // A copy is certain of itself, which is no q of the draft's.
    expect(totals.get('prompt-lookup')?.alphaPositions).toBe(0)
  })

  it.each(['with a draft', 'without a draft'])(
    'at temperature 1 leave the distribution of the target, %s',
    async (kind) => {
      const { engine, holder } = await setUp({}, lookup)
      if (kind === 'with a draft') holder.swap(new MarkovDraft('1', V, 2), 1)
      const start = 5
      const at1 = { temperature: 1, topK: 0, topP: 1 }
      const likely = (token: number) =>
        Array.from(transformLogits(markovLogits(token, V), at1).entries()).filter(([, p]) => p > 1e-9)
      // Whatever comes first, the prompt has it after `start`, and something likely or hardly possible after it.
      const prompt = likely(start).flatMap(([first], i) => [start, first, likely(first)[i % 2]![0], 190 + i])
      const counts = new Float64Array(V)
      let copied = 0
      for (let seed = 0; seed < 400; seed++) {
        const sampling = wire.SamplingParams.fromPartial({ ...at1, seed, maxTokens: 3 })
        const { tokens, stats } = await run(engine, request([...prompt, start], 3, { sampling }))
        counts[tokens[1]!]! += 1
        copied += stats.numLookupTokens
      }
      const second = new Float64Array(V)
      for (const [first, p] of likely(start)) {
        transformLogits(markovLogits(first, V), at1).forEach((q, id) => (second[id]! += p * q))
      }
      const { statistic, critical } = goodnessOfFit(counts, second)
      expect(statistic).toBeLessThan(critical)
      expect(copied).toBeGreaterThan(100)
    },
  )

  it('are not made for a request that wants no speculation', async () => {
    const { engine, target } = await setUp({}, lookup)
    const { stats } = await run(engine, request([3, 4], 40, { speculate: false }))
    expect(stats).toMatchObject({ numLookupTokens: 0, numEmittedTokens: 40 })
    expect(target.opened[0]?.promptFeatures).toBe(0)
  })

  it('stand in for a draft that fails in mid-response', async () => {
    const { engine, holder } = await setUp({}, lookup)
    const broken = new MarkovDraft('1', V)
    const open = broken.open.bind(broken)
    broken.open = (start) => ({ ...open(start), propose: () => Promise.reject(new Error('out of memory')) })
    holder.swap(broken, 1)
    const { tokens, stats } = await run(engine, request([3, 4], 80))
    expect(tokens).toEqual(greedyResponse([3, 4], 80, V))
    expect(stats.numAcceptedLookupTokens).toBeGreaterThan(20)
  })
})

describe('a swap', () => {
  it('in mid-response leaves the response on its version and changes no token; the next request has the new one', async () => {
    const reached = Promise.withResolvers<void>()
    const swapped = Promise.withResolvers<void>()
    let paused = false
    const beforeVerdict = async (round: number): Promise<void> => {
      if (round !== 4 || paused) return
      paused = true
      reached.resolve()
      await swapped.promise
    }
    const { engine, holder } = await setUp({ beforeVerdict })
    const [old, fresh] = [new MarkovDraft('1', V), new MarkovDraft('2', V)]
    holder.swap(old, 1)
    const running = run(engine, request([3, 4], 60))
    await reached.promise
    holder.swap(fresh, 2)
    expect(old.released).toBe(false)
    const next = await run(engine, request([3, 4], 60))
    swapped.resolve()
    const first = await running
    expect([first.stats.draftVersion, next.stats.draftVersion]).toEqual(['1', '2'])
    expect(first.stats.numAcceptedTokens).toBeGreaterThan(20)
    expect(first.tokens).toEqual(greedyResponse([3, 4], 60, V))
    expect(next.tokens).toEqual(first.tokens)
    expect([old.released, fresh.released]).toEqual([true, false])
  })
})

describe('limits', () => {
  it('names the field when prompt and length do not fit the context', async () => {
    const { engine, metrics } = await setUp({ maxContext: 16 })
    const ones = (length: number): number[] => Array(length).fill(1) as number[]
    const problem = (asked: GenerationRequest) =>
      run(engine, asked).then(
        () => undefined,
        (error: unknown) => error,
      )
    expect(await problem(request([], 1))).toMatchObject({ code: 'INVALID_ARGUMENT', facts: { field: 'prompt' } })
    const reason = 'context_length_exceeded'
    expect(await problem(request(ones(16), 1))).toMatchObject({ facts: { field: 'prompt', reason } })
    expect(await problem(request(ones(10), 7))).toMatchObject({ facts: { field: 'max_tokens', reason } })
    const longest = { ...request(ones(10), 1).sampling, maxTokens: undefined }
    expect((await run(engine, request(ones(10), 1, { sampling: longest }))).tokens).toHaveLength(6)
    expect(metrics.requests.value({ outcome: 'rejected', tenant: '' })).toBe(3)
  })

  it('a response that takes too long ends with a deadline error', async () => {
    const { engine, target } = await setUp(
      { beforeVerdict: () => new Promise((resolve) => setTimeout(resolve, 40)) },
      { timeoutMs: 150 },
    )
    await expect(run(engine, request([3], 60))).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    await until(() => target.active() === 0)
  })

  it('a client that goes away ends the response at the target and gives everything back', async () => {
    const { engine, target, holder, metrics } = await setUp()
    const draft = new MarkovDraft('1', V)
    holder.swap(draft, 1)
    const client = new AbortController()
    const generation = engine.generate(request([3], 200), client.signal)
    await generation.pieces.next()
    client.abort()
    await expect(generation.pieces.next()).rejects.toMatchObject({ code: 'CANCELLED' })
    await until(() => target.active() === 0)
    expect(target.cancelled()).toBe(1)
    expect(draft.open_).toBe(0)
    expect(metrics.requests.value({ outcome: 'cancelled', tenant: '' })).toBe(1)
    await holder.close()
    expect(draft.released).toBe(true)
  })

  it('leaving the loop does the same', async () => {
    const { engine, target, holder } = await setUp()
    const draft = new MarkovDraft('1', V)
    holder.swap(draft, 1)
    for await (const _ of engine.generate(request([3], 200), never).pieces) break
    await until(() => target.active() === 0)
    expect(draft.open_).toBe(0)
  })
})

describe('the target', () => {
  it('that is lost in mid-response fails the response and is found again after its restart', async () => {
    let started: () => void = () => {}
    const inTheMiddle = new Promise<void>((resolve) => (started = resolve))
    const { engine, target, link, metrics } = await setUp({
      beforeVerdict: (round) => (round < 3 ? Promise.resolve() : (started(), new Promise(() => {}))),
    })
    const running = run(engine, request([3], 50))
    running.catch(() => {})
    await inTheMiddle
    await target.stop()
    await expect(running).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true })
    expect(metrics.lostStreams.value({})).toBe(1)
    expect(link.whyNotReady()).toBeDefined()
    await expect(run(engine, request([3], 5))).rejects.toMatchObject({ code: 'UNAVAILABLE' })

    const again = await startMarkovTarget({ vocabSize: V, ...identity, address: target.address })
    closers.push(() => again.stop())
    await until(() => link.whyNotReady() === undefined)
    expect((await run(engine, request([3], 5))).tokens).toEqual(greedyResponse([3], 5, V))
  })

  it('that is another model is refused with both fingerprints', async () => {
    const { mismatches, engine } = await setUp({ fingerprint: 'another' })
    expect(mismatches[0]?.message).toMatch(/fingerprint is another, expected was f$/)
    await expect(run(engine, request([3], 5))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
})
