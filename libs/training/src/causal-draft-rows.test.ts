import { draftVocabularyMap, type CausalDraftConfig } from '@plateau/causal-lm'
import { expect, it } from 'vitest'
import { selectedTokenRows, tokenBatch, type TokenRows } from './causal-draft-rows.js'
import { batches } from './draft-batch.js'

const vocabulary = draftVocabularyMap({
  targetVocabSize: 10,
  draftVocabulary: Int32Array.of(2, 4, 6, 8),
} as CausalDraftConfig)
const UNKNOWN = 4

const rows: TokenRows = {
  length: 3,
  tokens: Int32Array.of(4, 5, 8),
  listed: 3,
  listedIds: Int32Array.of(8, 2, 6, /**/ 1, 6, 3, /**/ 9, 7, 5),
  listedProbs: Float32Array.of(0.5, 0.25, 0.125, /**/ 0.5, 0.25, 0.125, /**/ 0.5, 0.25, 0.125),
}
const shape = { sequences: 2, positions: 2, targetsPerRow: 3 }
const [pieces] = batches([rows], shape.sequences, shape.positions)

it('ids become rows of the draft; whatever it does not have is the unknown, with all of its mass', () => {
  const batch = tokenBatch(pieces!, vocabulary, shape)
  expect(Array.from(batch.inputIds, Number)).toEqual([1, UNKNOWN, 3, 0])
  const listed = (row: number) =>
    Array.from({ length: 3 }, (_, j) => [Number(batch.targetIds[row * 3 + j]), batch.targetProbs[row * 3 + j]])
  expect(listed(0)).toEqual([
    [3, 0.5],
    [0, 0.25],
    [2, 0.125],
  ])
  expect(listed(1)).toEqual([
    [UNKNOWN, 0.625],
    [2, 0.25],
    [0, 0],
  ])
  expect(listed(2)).toEqual([
    [UNKNOWN, 0.875],
    [0, 0],
    [1, 0],
  ])
})

it('rows weigh the same and sum to 1; padding weighs nothing and lists nothing', () => {
  const batch = tokenBatch(pieces!, vocabulary, shape)
  expect([...batch.rowWeights]).toEqual([1 / 3, 1 / 3, 1 / 3, 0].map(Math.fround))
  expect(Array.from(batch.targetProbs.slice(9))).toEqual([0, 0, 0])
  expect(new Set(batch.targetIds.slice(9)).size).toBe(3)
})

it('rows count what their window says, and sum to 1 all the same', () => {
  const weighted = pieces!.map((piece) => ({ ...piece, weights: Float32Array.of(3, 0, 1) }))
  expect([...tokenBatch(weighted, vocabulary, shape).rowWeights]).toEqual([0.75, 0, 0.25, 0])
})

it('of selected rows only those that count have targets, the heaviest where they are more', () => {
  const weighted = pieces!.map((piece) => ({ ...piece, weights: Float32Array.of(1, 0, 3) }))
  const batch = tokenBatch(weighted, vocabulary, shape)
  const all = selectedTokenRows(batch, 3)
  expect([...all.selected]).toEqual([0n, 2n, 0n])
  expect([...all.weights]).toEqual([0.25, 0.75, 0])
  expect(all.ids.slice(3, 6)).toEqual(batch.targetIds.slice(6, 9))
  expect(all.probs.slice(3, 6)).toEqual(batch.targetProbs.slice(6, 9))
  const one = selectedTokenRows(batch, 1)
  expect([...one.selected]).toEqual([2n])
  expect([...one.weights]).toEqual([1])
})

it('lists the first k of a longer list, and other tokens at probability 0 after a shorter one', () => {
  const shorter = tokenBatch(pieces!, vocabulary, { ...shape, targetsPerRow: 2 })
  expect(Array.from(shorter.targetIds.slice(0, 4), Number)).toEqual([3, 0, UNKNOWN, 2])
  const longer = tokenBatch(pieces!, vocabulary, { ...shape, targetsPerRow: 5 })
  expect(Array.from(longer.targetIds.slice(0, 5), Number)).toEqual([3, 0, 2, 1, 4])
  expect(Array.from(longer.targetProbs.slice(3, 5))).toEqual([0, 0])
})
