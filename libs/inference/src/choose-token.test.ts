import { goodnessOfFit, logitProcessors, seededRandom, transformLogits, type Sampling } from '@plateau/speculation'
import { describe, expect, it } from 'vitest'
import { chooseToken, rawDistribution } from './choose-token.js'

/** Ids are not in order, and not all of the vocabulary: those of a top list. */
const topIds = Int32Array.of(40, 7, 12, 3, 99, 55, 8, 21)
const topLogits = Float32Array.of(4, 3.5, 3.5, 2, 1, 0.5, -1, -2)
const listed = { topIds, topLogits, logSumExp: 5 }
const processors = logitProcessors(
  { presencePenalty: 1, frequencyPenalty: 0.5, repetitionPenalty: 1.5, logitBias: { 99: 3, 40: -2 } },
  [12],
)!
processors.record([7, 7, 1000])

/** The plain transformation over the listed tokens alone, by id. */
function reference(sampling: Sampling, ahead: readonly number[]): Map<number, number> {
  const logits = new Float64Array(1001).fill(-Infinity)
  topIds.forEach((id, i) => (logits[id] = topLogits[i]!))
  const probs = transformLogits(logits, sampling, ahead)
  return new Map(Array.from(topIds, (id) => [id, probs[id]!]))
}

describe('a draft’s choice under processors', () => {
  it.each([
    { temperature: 1, topK: 0, topP: 1 },
    { temperature: 0.6, topK: 3, topP: 1 },
    { temperature: 1.3, topK: 0, topP: 0.7 },
  ])('is a draw from what sampling leaves of the adjusted list: %o', (plain) => {
    for (const ahead of [[], [40, 3], [99, 99, 99]]) {
      const sampling = { ...plain, processors }
      const expected = reference(sampling, ahead)
      const random = seededRandom(4)
      const counts = new Float64Array(topIds.length)
      for (let i = 0; i < 2000; i++) {
        const { token, distribution } = chooseToken(listed, sampling, random, ahead)
        counts[topIds.indexOf(token)]!++
        if (i > 0) continue
        const sent = new Map(Array.from(distribution!.ids, (id, j) => [id, distribution!.probs[j]!]))
        for (const [id, p] of expected) expect(sent.get(id) ?? 0).toBeCloseTo(p, 6)
      }
      const { statistic, critical } = goodnessOfFit(counts, [...expected.values()])
      expect(statistic).toBeLessThan(critical)
    }
  })

  it('at temperature 0 is the best adjusted token, the lowest id in a tie', () => {
    const greedy = { temperature: 0, topK: 0, topP: 1, processors }
    const choose = (ahead: number[]) => chooseToken(listed, greedy, () => expect.unreachable(), ahead).token
    expect(choose([])).toBe(99)
    const likeliest = (ahead: number[]) => [...reference(greedy, ahead)].find(([, p]) => p === 1)![0]
    for (const ahead of [[], [99], [99, 99, 40, 12], [3, 7]]) expect(choose(ahead)).toBe(likeliest(ahead))
    const even = logitProcessors(
      { presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 0, logitBias: { 40: -0.5 } },
      [],
    )!
    expect(chooseToken(listed, { ...greedy, processors: even }, () => 0, []).token).toBe(7)
  })

  it('leaves raw q as the draft said it', () => {
    const raw = rawDistribution(listed)
    chooseToken(listed, { temperature: 1, topK: 0, topP: 1, processors }, seededRandom(1), [])
    expect(rawDistribution(listed)).toEqual(raw)
    expect(Array.from(raw.ids)).toEqual([40, 7, 12, 3, 99, 55, 8, 21])
    expect(raw.probs[0]).toBeCloseTo(Math.exp(-1))
  })
})
