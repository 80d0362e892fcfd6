import { unpackTopK } from '@plateau/contracts'
import { checkProposal } from '@plateau/speculation'
import { expect, it } from 'vitest'
import { packRows } from './pack-rows.js'

it('rows of different lengths stay valid distributions that list no token twice', () => {
  const rows = [
    { ids: [5, 1, 0], probs: [0.5, 0.25, 0.25] },
    { ids: [1], probs: [1] },
  ]
  const packed = packRows(rows)!
  expect([packed.positions, packed.k]).toEqual([2, 3])
  const probs = unpackTopK(packed)
  const unpacked = [0, 1].map((i) => ({
    ids: packed.ids.slice(i * 3, i * 3 + 3),
    probs: probs.slice(i * 3, i * 3 + 3),
  }))
  expect(() => checkProposal([5, 1], unpacked)).not.toThrow()
  expect(unpacked[1]).toEqual({ ids: [1, 0, 2], probs: Float32Array.of(1, 0, 0) })
})

it('no rows are no block', () => {
  expect(packRows([])).toBeUndefined()
})
