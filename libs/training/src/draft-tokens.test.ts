import { mostFrequentTokens } from '@plateau/causal-lm'
import { expect, test } from 'vitest'
import type { DraftRows } from './draft-rows.js'
import { countTokens, coverage } from './draft-tokens.js'

test('a draft vocabulary is chosen by what the target gave to its tokens', () => {
  const none = new Float32Array(4)
  const rows: DraftRows = {
    length: 2,
    tokens: Int32Array.of(5, 5),
    features: none,
    nextFeatures: none,
    listed: 2,
    listedIds: Int32Array.of(4, 1, 2, 4),
    listedProbs: Float32Array.of(0.5, 0.25, 0.75, 0.25),
    weights: none,
  }
  const counts = new Float64Array(6)
  countTokens(counts, rows)
  countTokens(counts, rows)
  expect([...counts]).toEqual([0, 0.5, 1.5, 0, 1.5, 0])
  const ids = mostFrequentTokens(counts, 2)
  expect([...ids]).toEqual([2, 4])
  expect(coverage(counts, ids)).toBeCloseTo(3 / 3.5, 12)
  expect(coverage(new Float64Array(6), ids)).toBe(0)
})
