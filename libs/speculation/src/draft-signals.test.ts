import { describe, expect, it } from 'vitest'
import { denseDraftSignals, draftSignals, type DraftSignals } from './draft-signals.js'
import type { SparseDistribution } from './draft.js'
import { denseOverlap } from './overlap.js'
import { seededRandom } from './random.js'
import { transformLogits } from './sampling.js'

const V = 24
const RAW = { temperature: 1, topK: 0, topP: 1 }
const random = seededRandom(17)
const logits = (scale: number) => Float64Array.from({ length: V }, () => scale * (random() - 0.5))
const softmax = (z: Float64Array) => transformLogits(z, RAW)

/** Every `every`-th logit, the others minus infinity: outside the draft's vocabulary. */
function restricted(z: Float64Array, every: number): Float64Array {
  return z.map((x, v) => (v % every === 0 ? x : Number.NEGATIVE_INFINITY))
}

function sparse(q: Float64Array): SparseDistribution {
  const ids = Array.from(q.keys()).filter((v) => q[v]! > 0)
  return { ids, probs: ids.map((v) => q[v]!) }
}

/** alpha after a step of size eta on KL(p || q) of q's logits z. */
function alphaAfter(p: Float64Array, z: Float64Array, eta: number): number {
  const q = softmax(z)
  return denseOverlap(p, softmax(z.map((x, v) => x + eta * (p[v]! - q[v]!))))
}

const numbers = ({ overlap, gain, entropy }: DraftSignals) => [overlap, gain, entropy]

it('by hand: what the target likes better moves up, in proportion to q', () => {
  const p = [0.5, 0.3, 0.2, 0]
  // g = .25, -.3, -.15 on q's tokens, m = -.14: 1/2 (.25 x .39 + .6 x .16 + .15 x .01).
  const { overlap, gain, entropy } = draftSignals((id) => p[id], { ids: [0, 1, 3], probs: [0.25, 0.6, 0.15] })
  expect(overlap).toBeCloseTo(0.55, 12)
  expect(gain).toBeCloseTo(0.0975, 12)
  expect(entropy).toBeCloseTo(-0.25 * Math.log(0.25) - 0.6 * Math.log(0.6) - 0.15 * Math.log(0.15), 12)
})

describe.each([
  ['over all tokens', 1],
  ['over every second token', 2],
  ['over every third token', 3],
])('a draft %s', (_, every) => {
  const cases = [0.5, 4, 12].map((scale) => {
    const z = restricted(logits(scale), every)
    return { p: softmax(logits(6)), z, q: softmax(z) }
  })

  it('has the gain that finite differences of alpha along a KL step show', () => {
    const eta = 1e-5
    for (const { p, z, q } of cases) {
      const slope = (alphaAfter(p, z, eta) - alphaAfter(p, z, -eta)) / (2 * eta)
      expect(denseDraftSignals(p, q).gain).toBeCloseTo(slope, 8)
    }
  })

  it('says the same from its own tokens alone as from the whole vocabulary', () => {
    const own = cases.flatMap(({ p, q }) => numbers(draftSignals((id) => p[id], sparse(q))))
    const whole = cases.flatMap(({ p, q }) => numbers(denseDraftSignals(p, q)))
    own.forEach((value, i) => expect(value).toBeCloseTo(whole[i]!, 12))
  })

  it('gains something by a small step', () => {
    for (const { p, q } of cases) expect(denseDraftSignals(p, q).gain).toBeGreaterThan(1e-4)
  })
})

it('a certain draft gains nothing and has no entropy, right or wrong', () => {
  for (const p of [1, 0.25, 0]) {
    expect(draftSignals(() => p, { ids: [3], probs: [1] })).toEqual({ overlap: p, gain: 0, entropy: 0 })
  }
})

it('a draft that is the target gains nothing', () => {
  const p = softmax(logits(3))
  const { overlap, gain } = draftSignals((id) => p[id], sparse(p))
  expect(overlap).toBeCloseTo(1, 12)
  expect(gain).toBe(0)
})

it('a draft that the target contradicts everywhere gains nothing at first', () => {
  const { overlap, gain } = draftSignals(() => 0, { ids: [0, 1], probs: [0.5, 0.5] })
  expect(overlap).toBe(0)
  expect(gain).toBe(0)
})

it('a token of probability 0 in q counts nothing, and one whose p is not known counts as p = 0', () => {
  const p = [0.5, 0.25]
  const alone = draftSignals((id) => p[id], { ids: [0, 2], probs: [0.75, 0.25] })
  expect(draftSignals((id) => p[id], { ids: [0, 1, 2, 0], probs: [0.75, 0, 0.25, 0] })).toEqual(alone)
  expect(draftSignals((id) => p[id] ?? 0, { ids: [0, 2], probs: [0.75, 0.25] })).toEqual(alone)
})

it('what was cut off q is one outcome of its entropy, and nothing of the rest', () => {
  const p = softmax(logits(3))
  const whole = sparse(softmax(logits(3)))
  const cut = { ids: Array.from(whole.ids).slice(0, 9), probs: Array.from(whole.probs).slice(0, 9) }
  const left = 1 - cut.probs.reduce((sum, q) => sum + q, 0)
  const { overlap, entropy } = draftSignals((id) => p[id], cut)
  expect(overlap).toBe(cut.ids.reduce((sum, id, i) => sum + Math.min(p[id]!, cut.probs[i]!), 0))
  expect(entropy).toBeCloseTo(
    [...cut.probs, left].reduce((sum, q) => sum - q * Math.log(q), 0),
    12,
  )
  expect(entropy).toBeLessThan(draftSignals((id) => p[id], whole).entropy)
})
