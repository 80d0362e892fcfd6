import { expect, test } from 'vitest'
import { jaccard, jaccardByChance } from './selected-sets.js'
import { keptTables, overlapTables } from './sets-tables.js'

const samples = [
  { domain: 'chat', positions: 10, flatness: 0.2, code: false },
  { domain: 'chat', positions: 30, flatness: 0.1, code: false },
  { domain: 'code', positions: 40, flatness: 0.05, code: true },
]
const facts = { correlations: { 'flatness and entropy': 0.9 }, before: { alpha: 0.2, alphaByFlatness: [0.2] } }
const sets = {
  ...facts,
  target: 'demo',
  keep: 0.5,
  samples,
  kept: { flatness: [0, 1], 'least-flat': [2], random: [1, 2] },
}

test('overlap is what two sets share of all that either has; by chance a third at half', () => {
  expect(jaccard([0, 1], [1, 2])).toBeCloseTo(1 / 3, 10)
  expect(jaccard([0, 1], [0, 1])).toBe(1)
  expect(jaccardByChance(0.5)).toBeCloseTo(1 / 3, 10)
  expect(overlapTables([sets])).toContain('| random | 0.33 | 0.50 | 1.00 |')
})

test('what is kept is told by domain, length, flatness and code', () => {
  expect(keptTables([sets])).toContain('| flatness | 100 % | 0 % | 20.0 | 0.1250 | 0 % |')
  expect(keptTables([sets])).toContain('| all | 100 % | 100 % | 26.7 | 0.0875 | 50 % |')
})
