import { expect, test } from 'vitest'
import { calibrate, evaluateArm, figuresOf, type ScoreDraft } from './evaluate.js'
import { windowWith } from './testing.js'

const chat = windowWith('a', [0.1, 0.1, 0.5])
const code = windowWith('b', [0.11, 0.9], { domain: 'code' })
const scores = { alpha: Float64Array.of(0.5, 0.2, 0.1, 1, 0.4), greedyMatch: Uint8Array.of(1, 0, 1, 1, 1) }

test('means are over positions, by domain, by window and by bin of effective tokens', () => {
  const figures = figuresOf(scores, [chat, code])
  expect(figures.alpha).toBeCloseTo(0.44, 12)
  expect(figures.greedyMatch).toBeCloseTo(0.8, 12)
  expect(figures.domains['code']).toEqual({ alpha: 0.7, greedyMatch: 1 })
  expect(figures.windowAlpha.map((alpha) => Number(alpha.toFixed(6)))).toEqual([0.266667, 0.7])
  // V f^2 of 100 tokens: 1, 1, 25 and 1.21, 81.
  expect(figures.alphaByFlatness).toEqual([0.35, 1, null, null, 0.25])
})

test('a round of g tokens is expected to be 1 + a1 + a1 a2 + ... long', () => {
  const { t1, t0 } = figuresOf(scores, [chat, code]).lengths
  expect(t1[0]).toBeCloseTo(1 + 0.44, 12)
  // Positions with one more after them: (.5, .2), (.2, .1), (1, .4).
  expect(t1[1]).toBeCloseTo(1 + (0.5 * 1.2 + 0.2 * 1.1 + 1 * 1.4) / 3, 12)
  expect(t1[2]).toBeCloseTo(1 + 0.5 * (1 + 0.2 * (1 + 0.1)), 12)
  expect(t0[1]).toBeCloseTo(1 + (1 + 0 + 2) / 3, 12)
})

test('an arm is judged at the scale that its own calibration windows like best', async () => {
  const best = 0.8
  const score: ScoreDraft = async (windows, scale) => {
    const n = windows.reduce((sum, { length }) => sum + length, 0)
    return { alpha: new Float64Array(n).fill(0.5 - Math.log(scale / best) ** 2), greedyMatch: new Uint8Array(n) }
  }
  expect(await calibrate(score, [chat])).toBeCloseTo(best, 1)
  const { logitScale, alpha } = await evaluateArm(score, { calibration: [chat], heldOut: [code] })
  expect(Math.abs(Math.log(logitScale / best))).toBeLessThan(0.06)
  expect(alpha).toBeGreaterThan(0.496)
})
