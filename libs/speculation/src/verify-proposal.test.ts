import { describe, expect, it } from 'vitest'
import type { SparseDistribution } from './draft.js'
import { goodnessOfFit } from './goodness-of-fit.js'
import { denseOverlap, overlap } from './overlap.js'
import { seededRandom, type Random } from './random.js'
import { argmax, sampleIndex, transformLogits, type Sampling } from './sampling.js'
import { denseTargetRow, lazyTargetRow, topKTargetRow, type TargetRow } from './target-row.js'
import { drawToken, verifyProposal } from './verify-proposal.js'

const V = 24

describe('hand-made cases', () => {
  const p = denseTargetRow(Float64Array.of(0.5, 0.3, 0.2, 0))
  const bonus = denseTargetRow(Float64Array.of(0, 0, 0, 1))
  const q: SparseDistribution = { ids: [0, 1, 3], probs: [0.25, 0.6, 0.15] }
  const verify = (token: number, ...draws: number[]) => {
    const random = (): number => draws.shift() ?? expect.unreachable('drew too often')
    return verifyProposal({ tokens: [token], q: [q], rows: [p, bonus], random })
  }

  it('a token that the target likes better than the draft is always accepted', async () => {
    expect(await verify(0, 0.999999, 0.5)).toEqual({ accepted: 1, nextToken: 3, kind: 'bonus' })
  })

  it('a token is accepted below p/q and rejected from there on', async () => {
    // p/q = .3/.6
    expect(await verify(1, 0.499, 0.5)).toEqual({ accepted: 1, nextToken: 3, kind: 'bonus' })
    // Residual max(0, p - q) = .25, 0, .2, 0: token 0 below 25/45 = .5555.
    expect(await verify(1, 0.5, 0.555)).toEqual({ accepted: 0, nextToken: 0, kind: 'recovered' })
    expect(await verify(1, 0.5, 0.556)).toEqual({ accepted: 0, nextToken: 2, kind: 'recovered' })
  })

  it('a token that the target excludes is never accepted', async () => {
    expect((await verify(3, 0, 0)).kind).toBe('recovered')
  })

  it('verification stops at the first rejection', async () => {
    const rows = [p, bonus, p]
    const draws = [0.9, 0.1]
    const verdict = await verifyProposal({ tokens: [1, 3], q: [q, q], rows, random: () => draws.shift()! })
    expect(verdict).toEqual({ accepted: 0, nextToken: 0, kind: 'recovered' })
    expect(draws).toEqual([])
  })

  it('an empty proposal is a plain step', async () => {
    const verdict = await verifyProposal({ tokens: [], q: [], rows: [p], random: () => 0.6 })
    expect(verdict).toEqual({ accepted: 0, nextToken: 1, kind: 'bonus' })
  })

  it('a rejection by rounding, where p equals q, draws from p', async () => {
    const same = { ids: [0, 1], probs: [0.5, 0.5] }
    const row: TargetRow = {
      probability: () => 0.4999999,
      view: () =>
        Promise.resolve({ ids: [0, 1], probs: [0.4999999, 0.5], restMass: 0, rest: () => expect.unreachable() }),
    }
    const draws = [0.9999999999, 0.7]
    const verdict = await verifyProposal({ tokens: [0], q: [same], rows: [row, row], random: () => draws.shift()! })
    expect(verdict).toEqual({ accepted: 0, nextToken: 1, kind: 'recovered' })
  })

  it('alpha is the sum of the smaller probabilities', () => {
    expect(overlap((id) => [0.5, 0.3, 0.2, 0][id], q)).toBeCloseTo(0.55)
    expect(denseOverlap([0.5, 0.3, 0.2, 0], [0.25, 0.6, 0, 0.15])).toBeCloseTo(0.55)
  })
})

describe('temperature 0', () => {
  const greedy = { temperature: 0, topK: 0, topP: 1 }
  const logits = [
    [1, 3, 3, 0],
    [5, 0, 0, 0],
    [0, 0, 9, 0],
  ]
  const rows = logits.map((row) => denseTargetRow(transformLogits(row, greedy)))
  const verify = (tokens: number[]) =>
    verifyProposal({ tokens, q: [], rows: rows.slice(0, tokens.length + 1), random: () => 0.999999 })

  it('accepts exactly the most probable token, the lowest id in a tie, whatever the random numbers', async () => {
    expect(await verify([1, 0])).toEqual({ accepted: 2, nextToken: 2, kind: 'bonus' })
    expect(await verify([2, 0])).toEqual({ accepted: 0, nextToken: 1, kind: 'recovered' })
    expect(await verify([1, 3])).toEqual({ accepted: 1, nextToken: 0, kind: 'recovered' })
  })

  it('never needs more than the top of the list', async () => {
    const row = topKTargetRow(
      {
        vocabSize: 1000,
        topIds: [7, 9],
        topLogits: [2, 2],
        logSumExp: Number.NaN,
        candidateIds: [],
        candidateLogits: [],
        fullLogits: () => expect.unreachable('asked for all logits'),
      },
      greedy,
    )
    const verdict = await verifyProposal({ tokens: [7], q: [], rows: [row, row], random: () => 0.5 })
    expect(verdict).toEqual({ accepted: 1, nextToken: 7, kind: 'bonus' })
  })
})

describe('a proposal that cannot have been drawn from its q is refused before anything is drawn', () => {
  const p = denseTargetRow(Float64Array.of(0.5, 0.5))
  const verify = (tokens: number[], q: SparseDistribution[], rows = [p, p]) =>
    verifyProposal({ tokens, q, rows, random: () => expect.unreachable('drew') })

  it.each([
    ['probability 0 in its own q', [1], [{ ids: [0, 1], probs: [1, 0] }]],
    ['probability 0 in its own q', [1], [{ ids: [0], probs: [1] }]],
    ['sums to 0.75', [0], [{ ids: [0], probs: [0.75] }]],
    ['outside [0, 1]', [0], [{ ids: [0, 1], probs: [1.5, -0.5] }]],
    ['outside [0, 1]', [0], [{ ids: [0, 1], probs: [Number.NaN, 1] }]],
    ['lists a token twice', [0], [{ ids: [0, 0], probs: [0.5, 0.5] }]],
    ['2 ids and 1 probabilities', [0], [{ ids: [0, 1], probs: [1] }]],
    [
      '2 rows of q',
      [0],
      [
        { ids: [0], probs: [1] },
        { ids: [0], probs: [1] },
      ],
    ],
  ])('%s', async (sentence, tokens, q) => {
    await expect(verify(tokens, q)).rejects.toThrow(sentence)
  })

  it('rows that do not fit', async () => {
    await expect(verify([0], [], [p])).rejects.toThrow('need 2 target rows, got 1')
  })
})

/**
 * A target in which every distribution depends on the token before: logits[previous][next]. Peaked enough to have a
 * tail beyond the top-k, flat enough to visit it.
 */
function markovLogits(seed: number, sharpness: number): number[][] {
  const random = seededRandom(seed)
  return Array.from({ length: V }, () => Array.from({ length: V }, () => sharpness * (random() + random() - 1)))
}

const k = 6
type RowOf = (logits: readonly number[], sampling: Sampling, q?: SparseDistribution) => TargetRow

/** transformLogits, remembered: a few dozen rows are asked for a hundred thousand times. */
const remembered = new WeakMap<readonly number[], Map<string, Float64Array>>()
function transformed(logits: readonly number[], sampling: Sampling): Float64Array {
  const known = remembered.get(logits) ?? new Map<string, Float64Array>()
  remembered.set(logits, known)
  const key = JSON.stringify(sampling)
  const probs = known.get(key) ?? transformLogits(logits, sampling)
  known.set(key, probs)
  return probs
}

const dense: RowOf = (logits, sampling) => denseTargetRow(transformed(logits, sampling))

const topK: RowOf = (logits, sampling, q) => {
  const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b)
  const top = order.slice(0, k)
  const candidates = q === undefined ? [] : Array.from(q.ids)
  return topKTargetRow(
    {
      vocabSize: V,
      topIds: top,
      topLogits: top.map((id) => logits[id]!),
      logSumExp: Math.log(logits.reduce((total, z) => total + Math.exp(z / sampling.temperature), 0)),
      candidateIds: candidates,
      candidateLogits: candidates.map((id) => logits[id]!),
      fullLogits: () => Promise.resolve(Float32Array.from(logits)),
    },
    sampling,
  )
}

/** The draft's q: its `support` most probable tokens under its own logits, after the request's sampling. */
function draftRow(logits: readonly number[], sampling: Sampling, support: number): SparseDistribution {
  const cut = sampling.topK === 0 ? support : Math.min(support, sampling.topK)
  const probs = transformed(logits, { ...sampling, topK: cut })
  const ids = Array.from(probs.keys()).filter((id) => probs[id]! > 0)
  return { ids, probs: Float32Array.from(ids, (id) => probs[id]!) }
}

interface Case {
  readonly target: number[][]
  readonly draft: number[][]
  readonly sampling: Sampling
  readonly support: number
  readonly gamma: number
  readonly rowOf: RowOf
  /** Every other round proposes what this says follows a token, for certain: a copy from the text. */
  readonly copied?: (token: number) => number
}

/** A response of `length` tokens after token 0 by rounds of speculation; `rounds` collects accepted and judged. */
async function respond(c: Case, length: number, random: Random, stats?: { accepted: number; proposed: number }) {
  const tokens = [0]
  while (tokens.length <= length) {
    const proposal: number[] = []
    const q: SparseDistribution[] = []
    const copied = tokens.length % 2 === 1 ? c.copied : undefined
    for (let i = 0; i < c.gamma; i++) {
      if (copied !== undefined) {
        proposal.push(copied(proposal.at(-1) ?? tokens.at(-1)!))
        q.push({ ids: proposal.slice(-1), probs: [1] })
        continue
      }
      const row = draftRow(c.draft[proposal.at(-1) ?? tokens.at(-1)!]!, c.sampling, c.support)
      q.push(row)
      proposal.push(row.ids[sampleIndex(row.probs, random())]!)
    }
    const before = [tokens.at(-1)!, ...proposal]
    const rows = before.map((token, i) => c.rowOf(c.target[token]!, c.sampling, q[i]))
    const { accepted, nextToken } = await verifyProposal({ tokens: proposal, q, rows, random })
    tokens.push(...proposal.slice(0, accepted), nextToken)
    if (stats) {
      stats.accepted += accepted
      stats.proposed += proposal.length
    }
  }
  return tokens.slice(1, length + 1)
}

/** Joint distribution of the first two tokens by plain sampling, [V * V]. */
function jointOfTwo(c: Case): Float64Array {
  const joint = new Float64Array(V * V)
  const first = transformLogits(c.target[0]!, c.sampling)
  for (let a = 0; a < V; a++) {
    const second = transformLogits(c.target[a]!, c.sampling)
    for (let b = 0; b < V; b++) joint[a * V + b] = first[a]! * second[b]!
  }
  return joint
}

async function countPairs(c: Case, draws: number, seed: number): Promise<Float64Array> {
  const random = seededRandom(seed)
  const counts = new Float64Array(V * V)
  for (let i = 0; i < draws; i++) {
    const [a, b] = await respond(c, 2, random)
    counts[a! * V + b!]!++
  }
  return counts
}

describe('the output has the distribution of the target (chi-square at level .001, fixed seeds)', () => {
  const target = markovLogits(1, 3)
  const related = target.map((row, i) => row.map((z, j) => z + 1.5 * Math.sin(i * 7 + j * 3)))
  const samplings: Sampling[] = [
    { temperature: 1, topK: 0, topP: 1 },
    { temperature: 0.6, topK: 0, topP: 1 },
    { temperature: 1.7, topK: 0, topP: 1 },
    { temperature: 1, topK: 4, topP: 1 },
    { temperature: 1.3, topK: 9, topP: 1 },
    { temperature: 1, topK: 0, topP: 0.5 },
    { temperature: 1.2, topK: 0, topP: 0.93 },
    { temperature: 0.8, topK: 12, topP: 0.8 },
  ]
  const cases = samplings.flatMap((sampling, i) => [
    { name: 'dense rows', rowOf: dense, sampling, seed: 10 + i },
    { name: 'top-k rows', rowOf: topK, sampling, seed: 40 + i },
  ])

  it.each(cases)('two tokens over several rounds: $name, $sampling', async ({ rowOf, sampling, seed }) => {
    const c = { target, draft: related, sampling, support: 10, gamma: 2, rowOf }
    const { statistic, critical } = goodnessOfFit(await countPairs(c, 6_000, seed), jointOfTwo(c))
    expect(statistic).toBeLessThan(critical)
  })

  it.each(samplings)('copied tokens, which are certain of themselves, between drafted ones: %o', async (sampling) => {
    // Now the likeliest token, now one that hardly ever comes.
    const copied = (token: number): number => (token % 2 === 0 ? argmax(target[token]!) : (token * 7 + 1) % V)
    const c = { target, draft: related, sampling, support: 10, gamma: 2, rowOf: topK, copied }
    const { statistic, critical } = goodnessOfFit(await countPairs(c, 6_000, 70), jointOfTwo(c))
    expect(statistic).toBeLessThan(critical)
  })

  it('a copied token is accepted with the probability that the target gives it', async () => {
    const sampling = { temperature: 1.3, topK: 0, topP: 1 }
    const p = transformLogits(target[0]!, sampling)
    const token = argmax(target[0]!)
    const random = seededRandom(13)
    let accepted = 0
    for (let i = 0; i < 6_000; i++) {
      const rows = [topK(target[0]!, sampling), topK(target[token]!, sampling)]
      accepted += (await verifyProposal({ tokens: [token], q: [{ ids: [token], probs: [1] }], rows, random })).accepted
    }
    const { statistic, critical } = goodnessOfFit([accepted, 6_000 - accepted], [p[token]!, 1 - p[token]!])
    expect(statistic).toBeLessThan(critical)
  })

  it('an adversarial draft gets almost nothing accepted and changes nothing', async () => {
    const draft = target.map((row) => row.map((z) => -4 * z))
    const sampling = { temperature: 1, topK: 0, topP: 1 }
    const c = { target, draft, sampling, support: 3, gamma: 2, rowOf: topK }
    const { statistic, critical } = goodnessOfFit(await countPairs(c, 6_000, 7), jointOfTwo(c))
    expect(statistic).toBeLessThan(critical)
    const stats = { accepted: 0, proposed: 0 }
    await respond(c, 4000, seededRandom(8), stats)
    expect(stats.accepted / stats.proposed).toBeLessThan(0.05)
  })

  it('a draft that is the target gets everything accepted', async () => {
    for (const sampling of samplings) {
      const c = { target, draft: target, sampling, support: V, gamma: 3, rowOf: dense }
      const stats = { accepted: 0, proposed: 0 }
      await respond(c, 400, seededRandom(9), stats)
      // q travels as FP32: where it rounds up, a rejection once in ten million is the exact answer.
      expect(stats.accepted).toBe(stats.proposed)
    }
  })

  it('three tokens over several rounds, counted by their joint distribution', async () => {
    // A vocabulary of 4 so that all 64 triples are well filled.
    const small = target.slice(0, 4).map((row) => [...row.slice(0, 4), ...Array<number>(V - 4).fill(-1e9)])
    const draft = small.map((row) => row.map((z, j) => (j < 4 ? -0.5 * z : z)))
    const sampling = { temperature: 1, topK: 0, topP: 1 }
    const c = { target: small, draft, sampling, support: 4, gamma: 2, rowOf: dense }
    const random = seededRandom(11)
    const counts = new Float64Array(64)
    for (let i = 0; i < 6_000; i++) {
      const [x, y, z] = await respond(c, 3, random)
      counts[x! * 16 + y! * 4 + z!]!++
    }
    const p = small.map((row) => transformLogits(row, sampling))
    const joint = Float64Array.from(
      counts,
      (_, i) => p[0]![i >> 4]! * p[i >> 4]![(i >> 2) & 3]! * p[(i >> 2) & 3]![i & 3]!,
    )
    const { statistic, critical } = goodnessOfFit(counts, joint)
    expect(statistic).toBeLessThan(critical)
  })

  it('the test itself notices a verification that forgets the residual', async () => {
    const sampling = { temperature: 1, topK: 0, topP: 1 }
    const p = transformLogits(target[0]!, sampling)
    const q = draftRow(related[0]!, sampling, 10)
    const random = seededRandom(12)
    const counts = new Float64Array(V)
    for (let i = 0; i < 12_000; i++) {
      const x = q.ids[sampleIndex(q.probs, random())]!
      const qx = q.probs[Array.from(q.ids).indexOf(x)]!
      // Wrong on purpose: draws from p instead of max(0, p - q).
      counts[random() * qx < p[x]! ? x : await drawToken(denseTargetRow(p), random)]!++
    }
    const { statistic, critical } = goodnessOfFit(counts, p)
    expect(statistic).toBeGreaterThan(critical)
  })
})

describe('top-k rows', () => {
  const target = markovLogits(21, 3)
  const samplings: Sampling[] = [
    { temperature: 1, topK: 0, topP: 1 },
    { temperature: 0.7, topK: 3, topP: 1 },
    { temperature: 1.5, topK: 15, topP: 0.9 },
    { temperature: 1, topK: 0, topP: 0.2 },
    { temperature: 1, topK: 0, topP: 0.99 },
    { temperature: 0, topK: 0, topP: 1 },
  ]

  it.each(samplings)('list the same probabilities as the dense row: %o', async (sampling) => {
    for (const logits of target) {
      const reference = transformLogits(logits, sampling)
      const q = { ids: [2, 3, 23], probs: [0.2, 0.3, 0.5] }
      const view = await topK(logits, sampling, q).view(q.ids)
      const listed = new Map(Array.from(view.ids, (id, i) => [id, view.probs[i]!]))
      expect(new Set(listed.keys()).size).toBe(view.ids.length)
      const unlisted = Array.from(reference.keys()).filter((id) => !listed.has(id))
      // FP32 logits stand behind some of the numbers.
      for (const [id, p] of listed) expect(p).toBeCloseTo(reference[id]!, 7)
      const rest = unlisted.reduce((mass, id) => mass + reference[id]!, 0)
      expect(view.restMass).toBeCloseTo(rest, 7)
      const asked = lazyTargetRow(() => Promise.resolve(topK(logits, sampling, q)))
      for (const id of [...q.ids, argmax(logits), 0, V - 1]) {
        expect(await asked.probability(id)).toBeCloseTo(reference[id]!, 7)
      }
    }
  })

  it('ask for all logits only when the listed tokens cannot answer', async () => {
    const sampling = { temperature: 1, topK: 0, topP: 1 }
    const logits = target[0]!
    let asked = 0
    const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]!)
    const row = () =>
      topKTargetRow(
        {
          vocabSize: V,
          topIds: order.slice(0, k),
          topLogits: order.slice(0, k).map((id) => logits[id]!),
          logSumExp: Math.log(logits.reduce((total, z) => total + Math.exp(z), 0)),
          candidateIds: [],
          candidateLogits: [],
          fullLogits: () => {
            asked++
            return Promise.resolve(logits)
          },
        },
        sampling,
      )
    expect(await drawToken(row(), () => 0)).toBe(argmax(logits))
    expect(asked).toBe(0)
    const tail = row()
    expect(order.slice(k)).toContain(await drawToken(tail, () => 0.9999999))
    await drawToken(tail, () => 0.9999999)
    expect(asked).toBe(1)
    // A token of the draft that the step did not look up is looked up now, not taken for impossible.
    const unlisted = order.at(-1)!
    const view = await row().view([unlisted])
    expect(view.probs[Array.from(view.ids).indexOf(unlisted)]).toBeCloseTo(transformLogits(logits, sampling)[unlisted]!)
    expect(asked).toBe(2)
  })
})
