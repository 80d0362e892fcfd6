import { describe, expect, it } from 'vitest'
import { failures, reportTable, type DemoReport, type PhaseReport } from './report.js'

const base: PhaseReport = {
  name: 'base',
  alphaStart: 0.4,
  alphaWorst: 0.38,
  alphaEnd: 0.41,
  frozenAlphaEnd: 0.4,
  acceptanceLengthStart: 1.5,
  acceptanceLengthWorst: 1.4,
  acceptanceLengthEnd: 1.6,
  swaps: 2,
  tokens: 8000,
}
const shift: PhaseReport = { ...base, name: 'shift', alphaWorst: 0.1, alphaEnd: 0.3, frozenAlphaEnd: 0.12 }
const cold: DemoReport = {
  failedRequests: 0,
  completedRequests: 100,
  losslessChecked: 16,
  losslessMismatches: 0,
  nearTies: 0,
  tieGap: 1e-4,
  startedWarm: false,
  swaps: 3,
  phases: [base, shift],
  windows: { captured: 10, shed: 0, scored: 10, kept: 4, control: 1, evaluation: 1, trained: 9 },
  keptShare: 0.5,
  selection: {
    rule: 'least-flat(keep=0.5)',
    gains: [{ name: 'gradients', gain: 0.002, standardError: 0.001 }],
    rules: [{ name: 'least-flat', gain: 0.004, standardError: 0.002, turns: 7 }],
    bins: [
      { tokens: '1 to 1.5', weights: [1.25] },
      { tokens: '1.5 or more', weights: [0.75] },
    ],
  },
  tokensPerSecond: { plain: 40, speculative: 60, byDomain: [] },
  seconds: 200,
}
const warm: DemoReport = { ...cold, startedWarm: true, swaps: 1, greedy: { tokens: 900, notBest: 0 } }

describe('a run is no success', () => {
  it.each<[string, DemoReport, RegExp]>([
    ['when speculation changed an answer', { ...cold, losslessMismatches: 1 }, /1 answers were changed/],
    [
      'when a greedy token was not the best',
      { ...warm, greedy: { tokens: 900, notBest: 2 } },
      /2 of 900 greedy tokens/,
    ],
    ['when a cold draft was swapped twice only', { ...cold, swaps: 2 }, /only 2 drafts .* 3 are expected/],
    ['when a warm draft was never swapped', { ...warm, swaps: 0 }, /only 0 drafts .* 1 are expected/],
    ['when a window was not scored', { ...cold, windows: { ...cold.windows, scored: 9 } }, /1 captured windows/],
    [
      'when a cold draft did not learn its first domain',
      { ...cold, phases: [{ ...base, alphaEnd: 0.39 }, shift] },
      /base/,
    ],
    [
      'when a warm draft lost what it knew',
      { ...warm, phases: [{ ...base, alphaEnd: 0.389 }, shift] },
      /base.*fell below/,
    ],
    ['when a warm draft did not learn the shift', { ...warm, phases: [base, { ...shift, alphaEnd: 0.12 }] }, /shift/],
  ])('%s', (_, report, reason) => {
    expect(failures(report)).toEqual([expect.stringMatching(reason)])
  })
})

it('a cold and a warm run that learned are', () => {
  expect(failures(cold)).toEqual([])
  expect(failures(warm)).toEqual([])
})

it('whether anything was proposed at the end is for the machine to say: alpha counts', () => {
  const phases = [base, { ...shift, acceptanceLengthEnd: Number.NaN }]
  expect(failures({ ...cold, phases })).toEqual([])
  expect(reportTable({ ...cold, phases })).toMatch(/^shift .* 1\.40 +- +2 +8000$/m)
})

it('a warm draft need not improve on what it knew, within .01', () => {
  expect(failures({ ...warm, phases: [{ ...base, alphaEnd: 0.391 }, shift] })).toEqual([])
})

it('the report says what was compared, and within what', () => {
  const text = reportTable({ ...warm, nearTies: 2, tieGap: 0.31 })
  expect(text).toContain('0 changed, 2 parted at a tie within rounding (logits closer than 0.31)')
  expect(text).toContain('900 of 900 greedy tokens are the best of the distribution that verified them')
})

it('the report says what selection gains over random, with its interval, and what is in force', () => {
  const text = reportTable(cold)
  expect(text).toMatch(/policy in force: least-flat\(keep=0\.5\)/)
  expect(text).toMatch(/gradients over random +0\.0020 +0\.0000 to 0\.0040/)
  expect(text).toMatch(/steps by least-flat over random +0\.0040 +0\.0001 to 0\.0079 +7/)
  expect(text).toContain('by effective tokens: 1 to 1.5: 1.25, 1.5 or more: 0.75')
  const nothing = { rule: 'none: everything is kept', gains: [], rules: [], bins: [] }
  expect(reportTable({ ...cold, selection: nothing })).toContain('everything is kept; nothing was measured yet')
})
