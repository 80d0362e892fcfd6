/** Rows under logit processors from a top list, against the plain transformation of all logits. */
import { describe, expect, it } from 'vitest'
import { goodnessOfFit } from './goodness-of-fit.js'
import { logitProcessors, type LogitProcessing } from './logit-processors.js'
import { seededRandom, type Random } from './random.js'
import { argmax, sampleIndex, transformLogits, type Sampling } from './sampling.js'
import { denseTargetRow, topKTargetRow, type TargetRow } from './target-row.js'
import { drawToken, verifyProposal } from './verify-proposal.js'
import type { SparseDistribution } from './draft.js'

const V = 24
const k = 6
const none: LogitProcessing = { presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 0, logitBias: {} }
const processings: [string, LogitProcessing][] = [
  ['presence', { ...none, presencePenalty: 1.5 }],
  ['a reward for presence', { ...none, presencePenalty: -2 }],
  ['frequency', { ...none, frequencyPenalty: 0.8 }],
  ['repetition', { ...none, repetitionPenalty: 1.4 }],
  ['a reward for repetition', { ...none, repetitionPenalty: 0.7 }],
  ['bias', { ...none, logitBias: { 2: 3, 5: -4, 23: 2.5 } }],
  ['bias that forces a token', { ...none, logitBias: { 9: 100 } }],
  ['bias that forbids tokens', { ...none, logitBias: Object.fromEntries([0, 1, 2, 3, 4, 5].map((id) => [id, -100])) }],
  ['everything', { presencePenalty: 0.5, frequencyPenalty: 0.3, repetitionPenalty: 1.2, logitBias: { 4: 2, 11: -3 } }],
]
const temperatures = [0, 0.6, 1]
const truncations = [
  { topK: 0, topP: 1 },
  { topK: 4, topP: 1 },
  { topK: 0, topP: 0.85 },
  { topK: 15, topP: 0.9 },
]
const samplings = temperatures.flatMap((temperature) => truncations.map((cut) => ({ temperature, ...cut })))

function randomLogits(random: Random, sharpness = 3): number[] {
  return Array.from({ length: V }, () => Math.fround(sharpness * (random() + random() - 1)))
}

interface RowOptions {
  readonly listed?: number
  readonly candidates?: readonly number[]
  readonly onFull?: () => void
}

/** As a step tells it: a top list, the candidates' logits, and the log-sum-exp as a 32-bit number. */
function stepRow(logits: readonly number[], sampling: Sampling, ahead: readonly number[], options: RowOptions = {}) {
  const { listed = k, candidates = sampling.processors?.affected(ahead) ?? [], onFull = () => {} } = options
  const top = Array.from(logits.keys())
    .sort((a, b) => logits[b]! - logits[a]! || a - b)
    .slice(0, listed)
  const { temperature } = sampling
  const sum = logits.reduce((total, z) => total + Math.exp(z / temperature), 0)
  return topKTargetRow(
    {
      vocabSize: V,
      topIds: top,
      topLogits: top.map((id) => logits[id]!),
      logSumExp: temperature === 0 ? Number.NaN : Math.fround(Math.log(sum)),
      candidateIds: candidates,
      candidateLogits: candidates.map((id) => logits[id]!),
      fullLogits: async () => {
        onFull()
        return Float32Array.from(logits)
      },
    },
    sampling,
    ahead,
  )
}

/** All probabilities that a row says, the rest included. */
async function wholeOf(row: TargetRow): Promise<Float64Array> {
  const whole = new Float64Array(V)
  const view = await row.view([])
  Array.from(view.ids).forEach((id, i) => (whole[id] = view.probs[i]!))
  if (view.restMass > 0) {
    const rest = await view.rest()
    const mass = Array.from(rest.probs).reduce((sum, p) => sum + p, 0)
    if (mass > 0) Array.from(rest.ids).forEach((id, i) => (whole[id]! += (rest.probs[i]! * view.restMass) / mass))
  }
  return whole
}

/** Largest difference of two probabilities, beside what the step's 32-bit log-sum-exp may be off by. */
const TOLERANCE = 2e-5
const apart = (actual: Float64Array, expected: Float64Array): number =>
  Math.max(...actual.map((p, id) => Math.abs(p - expected[id]!)))

describe('a row under processors, from a top list', () => {
  it.each(processings)('is the plain transformation of all logits: %s', async (_, processing) => {
    const random = seededRandom(5)
    for (const plain of samplings) {
      for (const ahead of [[], [2], [7, 7, 1]]) {
        const processors = logitProcessors(processing, [1, 2, 3])!
        processors.record([4, 5, 4])
        const sampling = { ...plain, processors }
        const logits = randomLogits(random)
        const expected = transformLogits(logits, sampling, ahead)
        for (const listed of [1, k, V]) {
          expect(apart(await wholeOf(stepRow(logits, sampling, ahead, { listed })), expected)).toBeLessThan(TOLERANCE)
          const row = stepRow(logits, sampling, ahead, { listed })
          for (const id of [0, 4, argmax(expected), V - 1]) {
            expect(await row.probability(id)).toBeCloseTo(expected[id]!, 4)
          }
        }
      }
    }
  })

  it('settles ties as the plain transformation does', async () => {
    // Ties between listed, unlisted and adjusted tokens, at the list's end and above it.
    const random = seededRandom(6)
    const anyId = (): number => Math.floor(V * random())
    for (let round = 0; round < 400; round++) {
      const logits = Array.from({ length: V }, () => Math.floor(4 * random() ** 3))
      const logitBias = Object.fromEntries(Array.from({ length: 8 }, () => [anyId(), random() < 0.7 ? -1 : 1]))
      const processors = logitProcessors({ ...none, logitBias }, [])!
      const candidates = [...processors.affected([]), ...Array.from({ length: 6 }, anyId)]
      for (const [temperature, topK] of [
        [0, 0],
        [1, 1],
        [1, 3],
        [1, 6],
      ] as const) {
        const sampling = { temperature, topK, topP: 1, processors }
        const row = stepRow(logits, sampling, [], { candidates })
        expect(apart(await wholeOf(row), transformLogits(logits, sampling))).toBeLessThan(TOLERANCE)
      }
    }
  })

  it('takes tokens into account that are neither listed nor candidates', async () => {
    const processors = logitProcessors({ ...none, logitBias: { 3: 8 } }, [])!
    const sampling = { temperature: 1, topK: 0, topP: 1, processors }
    const logits = Array.from({ length: V }, (_, id) => -id / 4)
    const row = stepRow(logits, sampling, [], { listed: 2, candidates: [] })
    expect(apart(await wholeOf(row), transformLogits(logits, sampling))).toBeLessThan(TOLERANCE)
  })

  it('needs no more than the step has told, where that is enough', async () => {
    const random = seededRandom(7)
    let fetched = 0
    let rows = 0
    for (const [, processing] of processings.filter(([name]) => !name.includes('forbids'))) {
      for (const temperature of temperatures) {
        const processors = logitProcessors(processing, [1, 2])!
        processors.record([4, 5])
        const logits = randomLogits(random)
        const sampling = { temperature, topK: 0, topP: 1, processors }
        const candidates = [7, ...processors.affected([7])]
        const row = stepRow(logits, sampling, [7], { candidates, onFull: () => fetched++ })
        await row.view([])
        await row.probability(7)
        rows++
      }
    }
    expect({ rows, fetched }).toEqual({ rows: 24, fetched: 0 })
  })

  it('takes all logits where an adjusted token had nearly all of p', async () => {
    // What is left, 2e-7 of the sum, is beyond the 24 bits that the step’s log-sum-exp has.
    const logits = Array.from({ length: V }, (_, id) => (id === 8 ? 18 : -id / 8))
    const processors = logitProcessors({ ...none, logitBias: { 8: -100 } }, [])!
    const sampling = { temperature: 1, topK: 0, topP: 1, processors }
    const expected = transformLogits(logits, sampling)
    let fetched = 0
    const row = stepRow(logits, sampling, [], { onFull: () => fetched++ })
    for (const id of [0, 8, 20]) expect(await row.probability(id)).toBeCloseTo(expected[id]!, 12)
    expect(fetched).toBe(1)
  })
})

/** logits[previous][next] */
const target = Array.from({ length: V }, (_, i) => randomLogits(seededRandom(100 + i)))
const distortion = (i: number, j: number): number => 1.5 * Math.sin(i * 7 + j * 3)

interface Case {
  readonly processing: LogitProcessing
  readonly plain: Sampling
  readonly draft: readonly (readonly number[])[]
  /** Whether the draft draws under the processors, as it should. */
  readonly processed?: boolean
  readonly support?: number
}

const gamma = 3
const prompt = [3, 0]

/** A response of `length` tokens after the prompt by rounds of speculation. */
async function respond(c: Case, length: number, random: Random) {
  const { processed = true, support = 10 } = c
  const processors = logitProcessors(c.processing, prompt)
  const sampling = { ...c.plain, processors }
  const drafted = processed ? sampling : c.plain
  const response: number[] = []
  const stats = { accepted: 0, judged: 0 }
  const last = (ahead: readonly number[]): number => ahead.at(-1) ?? response.at(-1) ?? prompt.at(-1)!
  while (response.length < length) {
    const tokens: number[] = []
    const q: SparseDistribution[] = []
    for (let i = 0; i < gamma; i++) {
      const topK = Math.min(support, c.plain.topK || V)
      const probs = transformLogits(c.draft[last(tokens)]!, { ...drafted, topK }, tokens)
      const ids = Array.from(probs.keys()).filter((id) => probs[id]! > 0)
      const row = { ids, probs: Float32Array.from(ids, (id) => probs[id]!) }
      tokens.push(ids[sampleIndex(row.probs, random())]!)
      if (c.plain.temperature > 0) q.push(row)
    }
    const rows = Array.from({ length: gamma + 1 }, (_, i) => {
      const ahead = tokens.slice(0, i)
      const candidates = [...Array.from(q[i]?.ids ?? []), ...(processors?.affected(ahead) ?? [])]
      return stepRow(target[last(ahead)]!, sampling, ahead, { candidates })
    })
    const { accepted, nextToken } = await verifyProposal({ tokens, q, rows, random })
    const emitted = [...tokens.slice(0, accepted), nextToken]
    stats.accepted += accepted
    stats.judged += Math.min(accepted + 1, gamma)
    response.push(...emitted)
    processors?.record(emitted)
  }
  return { response: response.slice(0, length), stats }
}

/** Plain decoding. */
async function plainly(c: Case, length: number, random: Random): Promise<number[]> {
  const processors = logitProcessors(c.processing, prompt)!
  const response: number[] = []
  while (response.length < length) {
    const logits = target[response.at(-1) ?? prompt.at(-1)!]!
    const row = denseTargetRow(transformLogits(logits, { ...c.plain, processors }))
    response.push(await drawToken(row, random))
    processors.record(response.slice(-1))
  }
  return response
}

/** Joint distribution of the first two tokens by definition, [V * V]. */
function jointOfTwo(c: Case): Float64Array {
  const joint = new Float64Array(V * V)
  const after = (...emitted: number[]): Float64Array => {
    const processors = logitProcessors(c.processing, prompt)!
    processors.record(emitted)
    return transformLogits(target[emitted.at(-1) ?? prompt.at(-1)!]!, { ...c.plain, processors })
  }
  after().forEach((first, a) => after(a).forEach((second, b) => (joint[a * V + b] = first * second)))
  return joint
}

const related = target.map((row, i) => row.map((z, j) => z + distortion(i, j)))
const cuts = [
  { topK: 0, topP: 1 },
  { topK: 9, topP: 0.9 },
]
const cases = processings.flatMap(([name, processing], i) =>
  [0.6, 1].flatMap((temperature) =>
    cuts.map((cut, j) => ({ name, processing, plain: { temperature, ...cut }, seed: 300 + 10 * i + j })),
  ),
)

describe('speculation under processors is lossless (chi-square at level .001, fixed seeds)', () => {
  it.each(cases)('two tokens: $name, $plain', async ({ processing, plain, seed }) => {
    const c = { processing, plain, draft: related }
    const random = seededRandom(seed)
    const counts = new Float64Array(V * V)
    for (let i = 0; i < 3000; i++) {
      const { response } = await respond(c, 2, random)
      counts[response[0]! * V + response[1]!]!++
    }
    const { statistic, critical } = goodnessOfFit(counts, jointOfTwo(c))
    expect(statistic).toBeLessThan(critical)
  })

  it.each(processings)('token by token at temperature 0: %s', async (_, processing) => {
    const plain = { temperature: 0, topK: 0, topP: 1 }
    const c = { processing, plain, draft: related }
    expect((await respond(c, 60, seededRandom(1))).response).toEqual(await plainly(c, 60, seededRandom(1)))
  })

  it.each(processings)('a draft that is the target has everything accepted: %s', async (_, processing) => {
    for (const plain of samplings) {
      const { stats } = await respond({ processing, plain, draft: target, support: V }, 100, seededRandom(3))
      expect(stats.accepted).toBe(stats.judged)
    }
  })

  it('a draft that leaves the processors out has less accepted, and changes nothing', async () => {
    const processing = { ...none, presencePenalty: 2, frequencyPenalty: 2 }
    const plain = { temperature: 1, topK: 0, topP: 1 }
    const c = { processing, plain, draft: target, support: V, processed: false }
    const { stats } = await respond(c, 400, seededRandom(4))
    expect(stats.accepted / stats.judged).toBeLessThan(0.8)
    const random = seededRandom(8)
    const counts = new Float64Array(V * V)
    for (let i = 0; i < 3000; i++) {
      const { response } = await respond(c, 2, random)
      counts[response[0]! * V + response[1]!]!++
    }
    const { statistic, critical } = goodnessOfFit(counts, jointOfTwo(c))
    expect(statistic).toBeLessThan(critical)
  })
})
