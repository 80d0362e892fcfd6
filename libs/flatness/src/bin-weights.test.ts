import { describe, expect, it } from 'vitest'
import { binCount, binPlaces, binsOf, standardEdges } from './bin-weights.js'
import { binnedWeights, WEIGHT_CAP } from './closed-form-weights.js'
import { closedFormWeightsOf, selectionPolicy } from './selection-policy.js'
import { windowWith } from './testing.js'

/** Effective tokens 1, 2.25, 4, 16 of 64. */
const flatness = [1 / 8, 1.5 / 8, 2 / 8, 4 / 8]

describe('bins', () => {
  it('tell positions apart by effective tokens; an edge belongs to the bin above it', () => {
    const bins = { effectiveTokens: [2, 4, 8], draftGap: [] }
    expect(binCount(bins)).toBe(4)
    expect([...binsOf(bins, windowWith({ flatness }))]).toEqual([0, 1, 2, 3])
  })

  it('and, row by row, by how far the draft is; the first column is for where none proposed', () => {
    const bins = { effectiveTokens: [4], draftGap: [0.25, 0.5] }
    expect(binCount(bins)).toBe(8)
    const window = windowWith({ flatness, draftOverlap: [Number.NaN, 0.875, 0.75, 0.25] })
    expect([...binsOf(bins, window)]).toEqual([0, 1, 4 + 2, 4 + 3])
    expect([...binsOf(bins, windowWith({ flatness }))]).toEqual([0, 0, 4, 4])
  })

  it('have places: rows of flatness and columns of the gap; where no draft proposed there is none', () => {
    expect(binPlaces({ ...standardEdges, draftGap: [] })).toEqual([[0], [1], [2], [3], [4]])
    const positions = { flatness: Float32Array.of(1, 1, 1), draftOverlap: Float32Array.of(Number.NaN, 0.9, 0.1) }
    const bins = binsOf(standardEdges, { ...positions, vocabSize: 100 })
    expect([...bins].map((bin) => binPlaces(standardEdges)[bin])).toEqual([
      [4, Number.NaN],
      [4, 1],
      [4, 3],
    ])
  })

  it('ignore the draft where no edges of its gap are given', () => {
    const window = windowWith({ flatness, draftOverlap: [0, 0, 0, 0] })
    expect([...binsOf({ effectiveTokens: [4], draftGap: [] }, window)]).toEqual([0, 0, 1, 1])
  })

  it('weigh positions in the closed form, up to the cap', () => {
    const bins = { effectiveTokens: [2, 4], draftGap: [], weights: [0.25, 1, 100] }
    expect([...binnedWeights(bins, windowWith({ flatness }))]).toEqual([0.25, 1, WEIGHT_CAP, WEIGHT_CAP])
    const policy = selectionPolicy({ strategy: 'none', keep: 1, closedFormWeight: 'binned', binWeights: bins })
    expect([...closedFormWeightsOf(policy, windowWith({ flatness }), 3)]).toEqual([0.25, 1, WEIGHT_CAP, WEIGHT_CAP])
  })
})
