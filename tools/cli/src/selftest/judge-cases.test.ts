import { expect, test } from 'vitest'
import { judgeCases, TOLERANCES, type CaseResult } from './judge-cases.js'
import { selftestCases } from './selftest-cases.js'

type Change = (result: CaseResult) => Partial<CaseResult>

/** Everything accepted, every greedy answer as plain, but for what `change` says. */
function results(change: Change = () => ({})): CaseResult[] {
  return selftestCases.map((one) => {
    const answers = one.temperature === 0 ? 6 : 0
    const fine = { ...one, proposed: 1000, accepted: 1000, alphaMean: 1, answers, equalAnswers: answers, nearTies: 0 }
    return { ...fine, ...change(fine) }
  })
}

const judged = (change: Change, weights: 'f32' | 'int8' | 'int4' = 'f32') =>
  judgeCases(results(change), weights, TOLERANCES[weights])

test('all accepted is fine, and so is what rounding rejects', () => {
  expect(judged(() => ({}))).toMatchObject({ failed: [], meaning: '' })
  expect(judged(() => ({ accepted: 998 })).failed).toEqual([])
  expect(judged(() => ({ accepted: 997 })).failed).toHaveLength(6)
  expect(judged(() => ({ accepted: 900 }), 'int8').failed).toEqual([])
  expect(judged(() => ({ accepted: 899 }), 'int8').failed).toHaveLength(6)
})

test('an answer that parts at a tie is fine; any other is not, where weights are not rounded', () => {
  const parted: Change = ({ answers }) => (answers > 0 ? { equalAnswers: 5 } : {})
  const atTie: Change = ({ answers }) => (answers > 0 ? { equalAnswers: 5, nearTies: 1 } : {})
  expect(judged(atTie).failed).toEqual([])
  expect(judged(parted).failed.map(({ temperature }) => temperature)).toEqual([0, 0])
  expect(judged(parted).meaning).toContain('the tokens are not those of plain decoding')
  expect(judged(parted, 'int8').failed).toEqual([])
})

test.each<[string, Change, string]>([
  ['only processed ones', ({ isProcessed }) => (isProcessed ? { accepted: 500 } : {}), 'penalties, biases or top_p'],
  ['only drawn ones', ({ temperature }) => (temperature > 0 ? { accepted: 500 } : {}), 'drawn ones are not'],
  ['all', () => ({ accepted: 500 }), 'another format'],
  ['greedy ones', ({ temperature }) => (temperature === 0 ? { accepted: 500 } : {}), 'another format'],
])('when %s are rejected it says what that means', (_, change, meaning) => {
  expect(judged(change).meaning).toContain(meaning)
})
