import { Arm, Decision, decodeHeaders, ScoredWindow, TrainingWindow } from '@plateau/contracts'
import { describe, expect, it } from 'vitest'
import { acceptWindow } from './accept-window.js'
import { decisionOf } from './decision.js'
import { measureWindow, statisticsOf, windowStatistics } from './measure-window.js'
import { scoredRecord, trainingRecord } from './outgoing-records.js'
import { delivered, recordOf, windowOf } from './testing.js'

const window = windowOf('sample', { windowIndex: 4 })
const accepted = acceptWindow(delivered(recordOf(window), 2, 77))
const decision = {
  arm: 'control',
  keep: true,
  score: 0.25,
  threshold: 0.125,
  policy: 'flatness(keep=0.5)',
  gradientWeights: Float32Array.of(1, 0, 1),
  keptBy: ['random(keep=0.5)'],
} as const
const made = { nowMs: 2_000, traceparent: accepted.traceparent }

describe('the training record', () => {
  const record = trainingRecord(accepted, decision, Float32Array.of(0.5, 1, 1.5), made)

  it('holds the captured window byte for byte, and the decision', () => {
    expect(TrainingWindow.decode(record.value!)).toEqual({
      window,
      arm: Arm.ARM_CONTROL,
      decision: Decision.DECISION_KEEP,
      weights: [0.5, 1, 1.5],
      score: 0.25,
      policy: 'flatness(keep=0.5)',
      gradientWeights: [1, 0, 1],
      keptBy: ['random(keep=0.5)'],
    })
  })

  it('is the generated encoding, for windows of one, two and three length bytes', () => {
    for (const padding of [0, 500, 40_000]) {
      const padded = { ...windowOf('s'), tenant: 'x'.repeat(padding) }
      const spliced = trainingRecord(
        acceptWindow(delivered(recordOf(padded))),
        decision,
        Float32Array.of(1, 1, 1),
        made,
      )
      expect(TrainingWindow.decode(spliced.value!).window).toEqual(padded)
    }
  })

  it('has the same key, an id that repeats, and goes on with the trace', () => {
    expect(record.key).toBe('sample')
    const headers = decodeHeaders(record.headers)
    expect(headers).toMatchObject({ id: 'training:sample:4', type: 'plateau.stream.v1.TrainingWindow' })
    expect(headers?.traceparent).toBe('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
  })
})

describe('the scored record', () => {
  it('says where the window came from, its numbers and the decision', () => {
    const record = scoredRecord(accepted, measureWindow(accepted), decision, made)
    expect(decodeHeaders(record.headers)?.id).toBe('scored:sample:4')
    const scored = ScoredWindow.decode(record.value!)
    expect(scored).toMatchObject({
      provenance: window.provenance,
      sampleId: 'sample',
      windowIndex: 4,
      tokenIds: window.tokenIds,
      scoredAtMs: 2_000,
      arm: Arm.ARM_CONTROL,
      decision: Decision.DECISION_KEEP,
      sourcePartition: 2,
      sourceOffset: 77,
    })
    expect(scored.flatness).toHaveLength(3)
  })

  it('restores what was measured and decided, to the bit', () => {
    const drafted = {
      ...window,
      draftOverlap: [Number.NaN, 0.5, 1],
      draftGain: [Number.NaN, 0.25, 0],
      draftEntropy: [Number.NaN, 1, 2],
    }
    for (const captured of [window, drafted]) {
      const from = acceptWindow(delivered(recordOf(captured)))
      const measured = measureWindow(from)
      const scored = ScoredWindow.decode(scoredRecord(from, measured, decision, made).value!)
      const { flatnessLow: _low, flatnessHigh: _high, ...statistics } = measured
      expect(statisticsOf(scored)).toEqual(statistics)
      expect(windowStatistics(captured)).toMatchObject(statistics)
      expect(decisionOf(scored)).toEqual(decision)
    }
  })
})

describe('measured flatness', () => {
  it('is exact where sum p^2 is known, and within the interval where only the top-k is', () => {
    const exact = measureWindow(accepted)
    expect(exact.flatnessLow).toEqual(exact.flatness)
    const topOnly = measureWindow(acceptWindow(delivered(recordOf({ ...window, sumSquares: [] }))))
    for (let i = 0; i < 3; i++) {
      expect(topOnly.flatnessLow[i]!).toBeLessThanOrEqual(exact.flatness[i]!)
      expect(topOnly.flatnessHigh[i]!).toBeGreaterThanOrEqual(exact.flatness[i]!)
      expect(topOnly.flatnessLow[i]!).toBeLessThan(topOnly.flatness[i]!)
      expect(topOnly.flatnessHigh[i]! / topOnly.flatnessLow[i]!).toBeLessThan(1.05)
    }
  })
})
