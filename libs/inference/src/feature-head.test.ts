import {
  checkFeatureHead,
  draftVocabSize,
  featureHeadRow,
  featureHeadShapes,
  initialFeatureHead,
  referenceFeatureHead,
  withLayer,
  withParameters,
  withVocabulary,
  type FeatureHead,
  type FeatureHeadConfig,
  type FeatureHeadLayer,
  type FeatureHeadTarget,
} from '@plateau/causal-lm'
import {
  denseDraftSignals,
  denseOverlap,
  goodnessOfFit,
  seededRandom,
  type DraftSession,
  type Sampling,
} from '@plateau/speculation'
import { addRows, emptySums, prepareDraftTarget, type DraftRows } from '@plateau/training'
import { afterEach, describe, expect, test } from 'vitest'
import { FeatureHeadDraft } from './feature-head-draft.js'
import { FeatureHeadScorer, summarizeScores } from './feature-head-scorer.js'
import { RidgeAccumulator } from './gram.js'

const H = 16
const V = 90
const config: FeatureHeadConfig = {
  hiddenSize: H,
  vocabSize: V,
  bilinearFeatures: 24,
  rmsNormEps: 1e-5,
  layer: undefined,
}
const layer: FeatureHeadLayer = { heads: 2, headDim: 6, intermediateSize: 20, ropeTheta: 10_000, contextPositions: 12 }

const random = seededRandom(5)
const normals = (n: number, scale = 1): Float32Array =>
  Float32Array.from(
    { length: n },
    () => scale * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  )

const bareTarget: FeatureHeadTarget = {
  embeddings: normals(V * H, 0.3),
  head: normals(V * H, 0.4),
  norm: Float32Array.from({ length: H }, () => 0.5 + random()),
}
const target = prepareDraftTarget(bareTarget, config)

const plainHead = initialFeatureHead(config, bareTarget, random)
/** Every parameter random, so that nothing is the identity by accident. */
const layeredHead = ((): FeatureHead => {
  const base = withLayer(plainHead, layer, random)
  const changes = ['self_attn.o_proj', 'mlp.down_proj', 'input_layernorm'].map((name) => `layers.0.${name}.weight`)
  const shapes = featureHeadShapes(base.config)
  const fresh = changes.map(
    (name) =>
      [
        name,
        normals(
          shapes.get(name)!.reduce((a, b) => a * b, 1),
          0.5,
        ),
      ] as const,
  )
  return withParameters(base, { ...Object.fromEntries(fresh), logit_scale: Float32Array.of(1.3) })
})()
/** Two of three tokens can be proposed. */
const someTokens = Int32Array.from({ length: V }, (_, id) => id).filter((id) => id % 3 !== 1)
/** Products of coordinates in place of products of projections. */
const pairHead = initialFeatureHead({ ...config, bilinearSeed: 7 }, bareTarget, random)
const heads = [
  ['without a layer', plainHead],
  ['of coordinate products', pairHead],
  ['with a layer', layeredHead],
  ['with a vocabulary of its own', withVocabulary(plainHead, someTokens)],
  ['with a layer and a vocabulary of its own', withVocabulary(layeredHead, someTokens)],
] as const

const greedy: Sampling = { temperature: 0, topK: 0, topP: 1 }
const natural: Sampling = { temperature: 1, topK: 0, topP: 1 }

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

async function load(head: FeatureHead, listedTokens = draftVocabSize(head.config)): Promise<FeatureHeadDraft> {
  const draft = await FeatureHeadDraft.load(head, target, { version: 'test', listedTokens, weightFormat: 'f32' })
  cleanups.push(() => draft.release())
  return draft
}

function someRows(n: number, seed: number): DraftRows {
  const draw = seededRandom(seed)
  const listed = 7
  const ids = Array.from({ length: n }, () => {
    const start = Math.floor(draw() * V)
    return Array.from({ length: listed }, (_, j) => (start + 11 * j) % V)
  })
  return {
    length: n,
    tokens: Int32Array.from({ length: n }, () => Math.floor(draw() * V)),
    features: normals(n * H),
    nextFeatures: normals(n * H),
    listed,
    listedIds: Int32Array.from(ids.flat()),
    listedProbs: Float32Array.from({ length: n * listed }, (_, i) => 0.4 / (1 + (i % listed))),
    weights: Float32Array.from({ length: n }, () => 0.5 + draw()),
  }
}

const rowsOf = (features: Float32Array): Float32Array[] =>
  Array.from({ length: features.length / H }, (_, i) => features.subarray(i * H, (i + 1) * H))

function softmax(logits: Float64Array, temperature = 1): Float64Array {
  const top = Math.max(...logits)
  const weights = logits.map((logit) => Math.exp((logit - top) / temperature))
  const mass = weights.reduce((a, b) => a + b)
  return weights.map((weight) => weight / mass)
}

/** p and q of a window's rows as vectors over the vocabulary; longer windows are read in sequences of 64. */
function plainRows(head: FeatureHead, rows: DraftRows): { p: Float64Array; q: Float64Array; likeliest: number }[] {
  const starts = Array.from({ length: Math.ceil(rows.length / 64) }, (_, i) => 64 * i)
  const logits = starts.flatMap((from) => {
    const tokens = Array.from(rows.tokens.subarray(from, from + 64))
    return referenceFeatureHead(head, target, tokens, rowsOf(rows.features).slice(from, from + 64))
  })
  return logits.map((output, r) => {
    const ids = rows.listedIds.subarray(r * rows.listed, (r + 1) * rows.listed)
    const p = dense({ ids, probs: rows.listedProbs.subarray(r * rows.listed) })
    return { p, q: softmax(output.logits), likeliest: ids[0]! }
  })
}

/** q over the vocabulary from a sparse one. */
function dense({ ids, probs }: { ids: ArrayLike<number>; probs: ArrayLike<number> }): Float64Array {
  const out = new Float64Array(V)
  for (let i = 0; i < ids.length; i++) out[ids[i]!] = probs[i]!
  return out
}

const worst = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)))

describe.each(heads)('a feature-fed draft %s', (_, head) => {
  test('equals the plain reference along a chain that feeds on itself', async () => {
    const draft = await load(head)
    const rows = someRows(5, 3)
    const session = draft.open({ tokens: [1, 2, ...rows.tokens], features: rows.features })
    const { tokens, q, rawQ } = await session.propose(4, natural, seededRandom(8))
    expect(tokens).toHaveLength(4)
    const seenTokens = [...rows.tokens]
    const seenFeatures: Float64Array[] = rowsOf(rows.features).map((row) => Float64Array.from(row))
    for (let step = 0; step < 4; step++) {
      const reference = referenceFeatureHead(head, target, seenTokens, seenFeatures).at(-1)!
      expect(worst(dense(q[step]!), softmax(reference.logits))).toBeLessThan(1e-5)
      expect(worst(dense(rawQ[step]!), softmax(reference.logits))).toBeLessThan(1e-5)
      seenTokens.push(tokens[step]!)
      seenFeatures.push(reference.hidden)
    }
  })

  test('continues from what the target emitted, whatever it had guessed', async () => {
    const draft = await load(head)
    const rows = someRows(9, 4)
    const part = (from: number, to: number) =>
      [Array.from(rows.tokens.subarray(from, to)), rows.features.slice(from * H, to * H)] as const
    const [tokens, features] = part(0, 2)
    const session = draft.open({ tokens, features })
    await session.propose(5, natural, seededRandom(1))
    session.adopt(...part(2, 3)) // everything rejected
    await session.propose(3, natural, seededRandom(2))
    session.adopt(...part(3, 7)) // everything accepted, and a bonus
    session.adopt(...part(7, 9)) // a round that drafted nothing
    const { q } = await session.propose(1, natural, seededRandom(3))
    const reference = referenceFeatureHead(head, target, Array.from(rows.tokens), rowsOf(rows.features)).at(-1)!
    expect(worst(dense(q[0]!), softmax(reference.logits))).toBeLessThan(1e-5)
    // Asked again without news it answers the same.
    const again = await session.propose(1, natural, seededRandom(3))
    expect(worst(dense(again.q[0]!), dense(q[0]!))).toBeLessThan(1e-6)
  })

  test('is repeatable with a seed, and greedy at temperature 0 without a q', async () => {
    const draft = await load(head)
    const rows = someRows(4, 6)
    const start = { tokens: Array.from(rows.tokens), features: rows.features }
    const run = (seed: number) =>
      draft.open(start).propose(6, { temperature: 0.9, topK: 20, topP: 0.9 }, seededRandom(seed))
    const [first, second, other] = [await run(1), await run(1), await run(2)]
    expect(second).toEqual(first)
    expect(other.tokens).not.toEqual(first.tokens)
    const cold = await draft.open(start).propose(2, greedy, () => 0.99)
    const reference = referenceFeatureHead(head, target, start.tokens, rowsOf(rows.features)).at(-1)!
    expect(cold.tokens[0]).toBe(reference.logits.indexOf(Math.max(...reference.logits)))
    expect(cold.q).toEqual([])
    expect(cold.rawQ).toHaveLength(2)
  })

  test('scores recorded windows as the plain reference does', async () => {
    const scorer = await FeatureHeadScorer.create(head.config, target, { threads: 1, listedTokens: 10 })
    cleanups.push(() => scorer.release())
    const windows = [someRows(5, 1), someRows(70, 2)]
    const scores = await scorer.score(head, windows)
    const expected = windows.flatMap((rows) => plainRows(head, rows))
    const alphas = expected.map(({ p, q }) => denseOverlap(p, q))
    expect(worst(scores.alpha, alphas)).toBeLessThan(1e-5)
    expect([...scores.greedyMatch]).toEqual(
      expected.map(({ q, likeliest }) => Number(q.indexOf(Math.max(...q)) === likeliest)),
    )
    expect(summarizeScores(scores).positions).toBe(75)
  })

  test('has the signals that whole vectors have, p being 0 where it is not listed', async () => {
    const scorer = await FeatureHeadScorer.create(head.config, target, { threads: 1, listedTokens: 10 })
    cleanups.push(() => scorer.release())
    const windows = [someRows(5, 1), someRows(70, 2)]
    const signals = await scorer.signals(head, windows)
    const expected = windows.flatMap((rows) => plainRows(head, rows)).map(({ p, q }) => denseDraftSignals(p, q))
    for (const name of ['overlap', 'gain', 'entropy'] as const) {
      const values = expected.map((row) => row[name])
      expect(signals[name]).toHaveLength(75)
      expect(worst(signals[name], values)).toBeLessThan(1e-5)
      expect(Math.max(...values)).toBeGreaterThan(1e-2)
    }
    expect((await scorer.score(head, windows)).alpha).toEqual(signals.overlap)
  })
})

test.each([
  ['without a layer', plainHead],
  ['with a layer and a vocabulary', withVocabulary(layeredHead, someTokens)],
])('in 8-bit weights a head %s drafts from nearly the same q', async (_, head) => {
  const rows = someRows(4, 6)
  const start = { tokens: Array.from(rows.tokens), features: rows.features }
  const options = { version: 'test', listedTokens: draftVocabSize(head.config) }
  const draft = await FeatureHeadDraft.load(head, target, options)
  cleanups.push(() => draft.release())
  const proposals = [draft, await load(head)].map((each) => each.open(start).propose(1, natural, seededRandom(4)))
  const [small, exact] = (await Promise.all(proposals)).map(({ q }) => dense(q[0]!))
  const distance = small!.reduce((sum, p, id) => sum + Math.abs(p - exact![id]!) / 2, 0)
  expect(distance).toBeGreaterThan(0)
  expect(distance).toBeLessThan(0.03)
})

test('a layer that adds nothing is the head without it', async () => {
  const rows = someRows(6, 9)
  const start = { tokens: Array.from(rows.tokens), features: rows.features }
  const propose = async (head: FeatureHead) => (await load(head)).open(start).propose(5, natural, seededRandom(4))
  const [plain, layered] = [await propose(plainHead), await propose(withLayer(plainHead, layer, random))]
  expect(layered.tokens).toEqual(plain.tokens)
  expect(worst(dense(layered.q[4]!), dense(plain.q[4]!))).toBeLessThan(1e-6)
})

test.each<Sampling>([natural, { temperature: 0.7, topK: 0, topP: 0.8 }, { temperature: 1.4, topK: 9, topP: 1 }])(
  'tokens are distributed as the q that is sent says (%o)',
  async (sampling) => {
    const draft = await load(plainHead, 40)
    const rows = someRows(1, 12)
    const draw = seededRandom(77)
    const session = draft.open({ tokens: Array.from(rows.tokens), features: rows.features })
    const counts = new Float64Array(V)
    let q: Float64Array = new Float64Array(V)
    const n = 3000
    for (let i = 0; i < n; i++) {
      const proposal = await session.propose(1, sampling, draw)
      counts[proposal.tokens[0]!]! += 1
      q = dense(proposal.q[0]!)
    }
    expect(q.reduce((a, b) => a + b)).toBeCloseTo(1, 5)
    expect(counts.every((count, id) => count === 0 || q[id]! > 0)).toBe(true)
    const fit = goodnessOfFit(counts, q)
    expect(fit.statistic).toBeLessThan(fit.critical)
  },
)

test('a session far longer than the context drafts on from its last positions', async () => {
  const draft = await load(layeredHead)
  const rows = someRows(40, 21)
  const slow = draft.open({ tokens: Array.from(rows.tokens.subarray(0, 1)), features: rows.features.slice(0, H) })
  for (let i = 1; i < 40; i++) {
    await slow.propose(0, natural, random)
    await slow.propose(1, natural, random)
    slow.adopt([rows.tokens[i]!], rows.features.slice(i * H, (i + 1) * H))
  }
  const stepwise = await slow.propose(1, natural, seededRandom(1))
  const reference = lastOf(rows, 40)
  expect(worst(dense(stepwise.q[0]!), reference)).toBeLessThan(1e-5)
})

/**
 * The reference for one layer over a sliding context: row 39 attends to rows 28..39, and keys and values of a row do
 * not depend on other rows, so the last 12 rows suffice.
 */
function lastOf(rows: DraftRows, end: number): Float64Array {
  const from = end - layer.contextPositions
  const outputs = referenceFeatureHead(
    layeredHead,
    target,
    Array.from(rows.tokens.subarray(from, end)),
    rowsOf(rows.features).slice(from, end),
  )
  return softmax(outputs.at(-1)!.logits)
}

test('a scorer takes heads of any vocabulary, and what a draft cannot propose earns nothing', async () => {
  const scorer = await FeatureHeadScorer.create(plainHead.config, target, { threads: 1, listedTokens: 7 })
  cleanups.push(() => scorer.release())
  const rows = someRows(20, 5)
  const whole = await scorer.score(plainHead, [rows])
  const everything = withVocabulary(
    plainHead,
    Int32Array.from({ length: V }, (_, id) => id),
  )
  expect(worst((await scorer.score(everything, [rows])).alpha, whole.alpha)).toBeLessThan(1e-6)
  const without = someTokens.filter((id) => !rows.listedIds.includes(id))
  expect([...(await scorer.score(withVocabulary(plainHead, without), [rows])).alpha]).toEqual(
    Array.from({ length: 20 }, () => 0),
  )
})

test('a version over other tokens, or of another scale, is not taken for the one before it', async () => {
  const rows = someRows(4, 6)
  const start = { tokens: Array.from(rows.tokens), features: rows.features }
  const heads = [plainHead, withVocabulary(plainHead, someTokens), withVocabulary(plainHead, someTokens.slice(0, 50))]
  for (const head of [...heads, ...heads.map((each) => withParameters(each, { logit_scale: Float32Array.of(2) }))]) {
    const { q } = await (await load(head)).open(start).propose(1, natural, seededRandom(4))
    const reference = referenceFeatureHead(head, target, start.tokens, rowsOf(rows.features)).at(-1)!
    expect(worst(dense(q[0]!), softmax(reference.logits))).toBeLessThan(1e-5)
  }
})

test('versions stand beside each other, and one can be released while the other drafts', async () => {
  const rows = someRows(3, 2)
  const start = { tokens: Array.from(rows.tokens), features: rows.features }
  const [old, fresh] = [await FeatureHeadDraft.load(plainHead, target, { version: '1' }), await load(layeredHead)]
  const session: DraftSession = fresh.open(start)
  const before = await session.propose(3, greedy, random)
  await old.release()
  expect((await session.propose(3, greedy, random)).tokens).toEqual(before.tokens)
  await expect(old.open(start).propose(1, greedy, random)).rejects.toMatchObject({ code: 'SESSION_RELEASED' })
})

test.each([
  ['projections', plainHead],
  ['coordinates', pairHead],
])('products of batches equal rows added one by one, with bilinear features of %s', async (_, head) => {
  const accumulator = await RidgeAccumulator.create(head, target, 1)
  cleanups.push(() => accumulator.release())
  const inputs = 2 * H + config.bilinearFeatures
  const fast = emptySums(inputs, H)
  const slow = emptySums(inputs, H)
  const others = emptySums(inputs, H)
  for (const rows of [someRows(700, 1), someRows(450, 2), someRows(1, 3)]) {
    await accumulator.add(others, someRows(200, 4))
    await accumulator.add(fast, rows)
    const x = Array.from(rows.tokens, (token, i) => featureHeadRow(head, target, token, rowsOf(rows.features)[i]!))
    const y = rows.nextFeatures.map((value, i) => value / target.norm[i % H]!)
    addRows(slow, Float32Array.from(x.flatMap((row) => [...row])), y, rows.weights)
  }
  expect(accumulator.waiting).toBe(1151 - 1024 + 600)
  await accumulator.flush(fast)
  expect(accumulator.waiting).toBe(600)
  expect(others.weight).toBe(0)
  await accumulator.flush()
  expect(accumulator.waiting).toBe(0)
  expect(others.weight).toBeGreaterThan(300)
  expect(fast.weight).toBeCloseTo(slow.weight, 2)
  const lower = (gram: Float64Array) => gram.filter((_, at) => at % inputs <= Math.floor(at / inputs))
  expect(worst(lower(fast.gram), lower(slow.gram))).toBeLessThan(2e-3)
  expect(worst(fast.moment, slow.moment)).toBeLessThan(2e-3)
})

test('a vocabulary that is not ascending, within the target and as long as its configuration says is refused', () => {
  for (const ids of [[3, 3], [4, 2], [1, V], [-1, 2], []]) {
    expect(() => withVocabulary(plainHead, Int32Array.from(ids))).toThrow(/vocabulary/)
  }
  const head = withVocabulary(plainHead, someTokens)
  expect(() => checkFeatureHead({ ...head, vocabulary: someTokens.slice(1) })).toThrow(/59 ids, its configuration 60/)
  expect(() => checkFeatureHead({ config: head.config, parameters: head.parameters })).toThrow(/no ids/)
  expect(withVocabulary(head, undefined)).toEqual(plainHead)
})

test('a head that is damaged or belongs to another target is refused', async () => {
  expect(() => checkFeatureHead(withParameters(plainHead, { logit_scale: Float32Array.of(Number.NaN) }))).toThrow(
    /logit_scale/,
  )
  const short = withParameters(plainHead, {})
  ;(short.parameters as Map<string, unknown>).delete('fc.weight')
  await expect(FeatureHeadDraft.load(short, target, { version: 'x' })).rejects.toThrow(/lacks the parameter fc.weight/)
  expect(() => prepareDraftTarget(bareTarget, { ...config, vocabSize: 91 })).toThrow(/vocabulary of 91/)
})
