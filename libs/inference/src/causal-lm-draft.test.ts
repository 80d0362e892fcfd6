import {
  draftVocabularyMap,
  initialCausalDraft,
  referenceForward,
  type CausalDraft,
  type CausalDraftConfig,
} from '@plateau/causal-lm'
import { logitProcessors, overlap, seededRandom, transformLogits, type Sampling } from '@plateau/speculation'
import { afterEach, describe, expect, it } from 'vitest'
import { CausalLmDraft } from './causal-lm-draft.js'

const V = 40
const model = {
  vocabSize: V,
  hiddenSize: 16,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  intermediateSize: 24,
  rmsNormEps: 1e-5,
  ropeTheta: 1000,
  maxPositions: 32,
  tieEmbeddings: true,
  bosTokenId: undefined,
  eosTokenIds: [],
}
const whole: CausalDraftConfig = { model, targetVocabSize: V, draftVocabulary: undefined }
/** Every third token of a larger target, and the unknown. */
const reduced: CausalDraftConfig = {
  model: { ...model, tieEmbeddings: false },
  targetVocabSize: 3 * V,
  draftVocabulary: Int32Array.from({ length: V - 1 }, (_, row) => 3 * row + 1),
}
const greedy: Sampling = { temperature: 0, topK: 0, topP: 1 }
const none = new Float32Array(0)

const opened: CausalLmDraft[] = []
afterEach(async () => {
  for (const draft of opened.splice(0)) await draft.release()
})

/** Larger weights than a fresh model has, so that predictions differ. */
function spread(config: CausalDraftConfig, seed: number): CausalDraft {
  const draft = initialCausalDraft(config, seededRandom(seed))
  for (const { shape, data } of draft.parameters.values()) {
    if (shape.length > 1) data.forEach((value, i) => (data[i] = 12 * value))
  }
  return draft
}

async function load(draft: CausalDraft, maxProposal = 4, weightFormat: 'f32' | 'int8' = 'f32'): Promise<CausalLmDraft> {
  const loaded = await CausalLmDraft.load(draft, { version: '1', maxProposal, weightFormat })
  opened.push(loaded)
  return loaded
}

/** The plain draft: logits after a text, by the target's ids; tokens that it cannot say are missing. */
function plainLogits({ config, parameters }: CausalDraft, tokens: readonly number[]): Map<number, number> {
  const { rowOf, tokenOf } = draftVocabularyMap(config)
  const { logits } = referenceForward(
    config.model,
    parameters,
    tokens.map((token) => rowOf[token]!),
  )
  return new Map(Array.from(logits.at(-1)!, (logit, row) => [tokenOf[row]!, logit]))
}

function likeliest(logits: ReadonlyMap<number, number>): number {
  return [...logits].reduce((best, entry) => (entry[1] > best[1] ? entry : best))[0]
}

/** At most `count` greedy tokens, ending where the unknown is the likeliest. */
function plainGreedy(draft: CausalDraft, tokens: readonly number[], count: number): number[] {
  const text = [...tokens]
  while (text.length < tokens.length + count) {
    const next = likeliest(plainLogits(draft, text))
    if (next < 0) break
    text.push(next)
  }
  return text.slice(tokens.length)
}

describe.each([
  { kind: 'the whole vocabulary', config: whole },
  { kind: 'a reduced vocabulary', config: reduced },
])('a causal draft over $kind', ({ config }) => {
  const tokenAt = (random: () => number) => Math.floor(random() * config.targetVocabSize)

  it('proposes what the plain forward pass says, whatever was accepted in the rounds before', async () => {
    const draft = spread(config, 3)
    const random = seededRandom(5)
    const text = Array.from({ length: 5 }, () => tokenAt(random))
    const session = (await load(draft)).open({ tokens: [...text], features: none })
    let proposed = 0
    for (let round = 0; round < 6; round++) {
      const { tokens } = await session.propose(1 + (round % 4), greedy, random)
      expect(tokens).toEqual(plainGreedy(draft, text, 1 + (round % 4)))
      proposed += tokens.length
      // All, some or none of it, then a token of the target's own; once two rounds without a proposal.
      const fresh = [...tokens.slice(0, round % 3), tokenAt(random)]
      text.push(...fresh)
      session.adopt(fresh, none)
      if (round === 3) {
        text.push(tokenAt(random))
        session.adopt(text.slice(-1), none)
      }
    }
    expect(proposed).toBeGreaterThan(8)
    session.close()
  })

  it('asked twice for the same text it proposes the same', async () => {
    const draft = spread(config, 3)
    const session = (await load(draft)).open({ tokens: [1, 4, 7], features: none })
    const random = seededRandom(1)
    const first = await session.propose(3, greedy, random)
    expect((await session.propose(3, greedy, random)).tokens).toEqual(first.tokens)
  })

  it('draws from the q that it sends: its listed tokens after the request’s sampling', async () => {
    const draft = spread(config, 3)
    const loaded = await load(draft)
    for (const sampling of [
      { temperature: 1, topK: 0, topP: 1 },
      { temperature: 0.6, topK: 0, topP: 0.9 },
      { temperature: 1.4, topK: 5, topP: 1 },
    ]) {
      const session = loaded.open({ tokens: [1, 4, 7], features: none })
      const { tokens, q, rawQ } = await session.propose(4, sampling, seededRandom(2))
      session.close()
      expect(tokens.length).toBeGreaterThan(0)
      for (const [i, token] of tokens.entries()) {
        const logits = plainLogits(draft, [1, 4, 7, ...tokens.slice(0, i)])
        const mass = [...logits.values()].reduce((sum, logit) => sum + Math.exp(logit), 0)
        const listed = Array.from(rawQ[i]!.ids)
        expect(listed).not.toContain(-1)
        listed.forEach((id, j) => expect(rawQ[i]!.probs[j]).toBeCloseTo(Math.exp(logits.get(id)!) / mass, 5))
        const expected = transformLogits(
          listed.map((id) => logits.get(id)!),
          sampling,
        )
        const kept = listed.filter((_, j) => expected[j]! > 0)
        expect(Array.from(q[i]!.ids)).toEqual(kept)
        kept.forEach((_, j) => expect(q[i]!.probs[j]).toBeCloseTo(expected[j]!, 5))
        expect(kept).toContain(token)
      }
    }
  })

  it('a text longer than its context goes on from the nearer half', async () => {
    const draft = spread(config, 4)
    const random = seededRandom(6)
    const text = Array.from({ length: 70 }, () => tokenAt(random))
    const session = (await load(draft)).open({ tokens: [...text], features: none })
    const { tokens } = await session.propose(2, greedy, random)
    expect(tokens).toEqual(plainGreedy(draft, text.slice(-16), 2))
    for (let round = 0; round < 40; round++) {
      text.push(tokenAt(random))
      session.adopt(text.slice(-1), none)
      // What it sees grows by one token a round, and starts again at half where it would not fit.
      await session.propose(1, greedy, random)
    }
    const seen = 16 + (40 % 13)
    const expected = plainGreedy(draft, text.slice(-seen), 1)
    expect((await session.propose(1, greedy, random)).tokens).toEqual(expected)
  })
})

it('counts what it has proposed in a round under penalties, and q is of the penalised draft', async () => {
  const draft = spread(whole, 3)
  const loaded = await load(draft)
  const settings = { presencePenalty: 2, frequencyPenalty: 1, repetitionPenalty: 1.2, logitBias: { 5: 2 } }
  const processors = logitProcessors(settings, [1, 4, 7])!
  processors.record([9])
  for (const temperature of [0, 1]) {
    const session = loaded.open({ tokens: [1, 4, 7, 9], features: none })
    const sampling = { temperature, topK: 0, topP: 1, processors }
    const { tokens, q, rawQ } = await session.propose(4, sampling, seededRandom(2))
    session.close()
    expect(tokens).toHaveLength(4)
    for (const [i, token] of tokens.entries()) {
      const ahead = tokens.slice(0, i)
      const logits = plainLogits(draft, [1, 4, 7, 9, ...ahead])
      const dense = Float64Array.from({ length: V }, (_, id) => logits.get(id)!)
      const expected = transformLogits(dense, sampling, ahead)
      const raw = transformLogits(dense, { temperature: 1, topK: 0, topP: 1 })
      const sent = q[i] ?? { ids: [token], probs: [1] }
      Array.from(sent.ids).forEach((id, j) => expect(sent.probs[j]).toBeCloseTo(expected[id]!, 5))
      Array.from(rawQ[i]!.ids).forEach((id, j) => expect(rawQ[i]!.probs[j]).toBeCloseTo(raw[id]!, 5))
    }
  }
})

it('says nothing where it thinks that a token comes which it cannot say', async () => {
  const draft = spread(reduced, 3)
  const head = draft.parameters.get('lm_head.weight')!.data
  const unknownRow = head.subarray((V - 1) * 16)
  // The state itself as the unknown's row: no other row has so large a product with it.
  const { hidden } = referenceForward(reduced.model, draft.parameters, [2])
  unknownRow.set(Float32Array.from(hidden.at(-1)!, (x) => 10 * x))
  const session = (await load(draft)).open({ tokens: [7], features: none })
  expect(await session.propose(3, greedy, seededRandom(1))).toEqual({ tokens: [], q: [], rawQ: [] })
  const warm = { temperature: 1, topK: 0, topP: 1 }
  expect((await session.propose(3, warm, seededRandom(1))).tokens).toEqual([])
})

it('with 8-bit weights q is nearly the same', async () => {
  const draft = spread(whole, 3)
  const first = async (weightFormat: 'f32' | 'int8') => {
    const session = (await load(draft, 1, weightFormat)).open({ tokens: [1, 4, 7], features: none })
    const { rawQ } = await session.propose(1, greedy, seededRandom(1))
    session.close()
    return rawQ[0]!
  }
  const [exact, rounded] = [await first('f32'), await first('int8')]
  const q = new Map(Array.from(rounded.ids, (id, i) => [id, rounded.probs[i]!]))
  expect(overlap((id) => q.get(id), exact)).toBeGreaterThan(0.97)
})

it('many sessions share one loaded draft and do not see each other', async () => {
  const draft = spread(whole, 3)
  const loaded = await load(draft)
  const texts = Array.from({ length: 5 }, (_, i) => [i, 2 * i + 1, 7])
  const sessions = texts.map((tokens) => loaded.open({ tokens, features: none }))
  const proposals = await Promise.all(sessions.map((session) => session.propose(3, greedy, seededRandom(1))))
  expect(proposals.map(({ tokens }) => tokens)).toEqual(texts.map((text) => plainGreedy(draft, text, 3)))
  for (const session of sessions) session.close()
})

it('never proposes more than it may, and nothing once closed', async () => {
  const loaded = await load(spread(whole, 3), 2)
  const session = loaded.open({ tokens: [1], features: none })
  expect((await session.propose(9, greedy, seededRandom(1))).tokens).toHaveLength(2)
  expect((await session.propose(0, greedy, seededRandom(1))).tokens).toEqual([])
  session.close()
  session.close()
  expect((await session.propose(2, greedy, seededRandom(1))).tokens).toEqual([])
})

it('a draft without room for a proposal, or one that does not fit its configuration, is refused', async () => {
  const options = { version: '1', maxProposal: 17 }
  await expect(CausalLmDraft.load(spread(whole, 1), options)).rejects.toThrow('no room to propose 17 tokens')
  const other = { ...spread(whole, 1), config: reduced }
  await expect(CausalLmDraft.load(other, { version: '1' })).rejects.toThrow('lacks the parameter lm_head.weight')
})
