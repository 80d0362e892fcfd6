import { describe, expect, it } from 'vitest'
import { gapFigures, gapsOf, splitGaps } from './token-gaps.js'

const arrivals = [
  { atMs: 100, tokens: 1 },
  { atMs: 110, tokens: 2 },
  { atMs: 150, tokens: 4 },
]

describe('gaps between tokens', () => {
  it('begin after the first token: the prompt is not one of them', () => {
    expect(gapsOf(arrivals)).toEqual([
      { fromMs: 100, toMs: 110, tokens: 2 },
      { fromMs: 110, toMs: 150, tokens: 4 },
    ])
    expect(gapsOf(arrivals.slice(0, 1))).toEqual([])
  })

  it('are divided by the tokens that came, and count once for each; the longest is the wait itself', () => {
    const figures = gapFigures(gapsOf(arrivals))
    expect(figures).toEqual({ tokens: 6, p50Ms: 10, p99Ms: 10, maxMs: 40 })
    expect(gapFigures([...gapsOf(arrivals), { fromMs: 0, toMs: 90, tokens: 9 }]).p50Ms).toBe(10)
    expect(
      gapFigures([
        { fromMs: 0, toMs: 5, tokens: 6 },
        { fromMs: 0, toMs: 100, tokens: 1 },
      ]).p99Ms,
    ).toBe(100)
  })

  it('belong to a swap when any part of them does, also one that spans all of it', () => {
    const swap = [{ fromMs: 20, toMs: 30 }]
    const gap = (fromMs: number, toMs: number) => ({ fromMs, toMs, tokens: 1 })
    const before = gap(0, 19)
    const after = gap(31, 40)
    const beside = [gap(0, 20), gap(22, 25), gap(29, 50), gap(10, 60)]
    expect(splitGaps([before, ...beside, after], swap)).toEqual({ inside: beside, outside: [before, after] })
  })

  it('lie outside where there was no swap', () => {
    expect(splitGaps(gapsOf(arrivals), []).outside).toHaveLength(2)
  })
})
