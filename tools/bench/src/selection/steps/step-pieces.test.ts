import type { DraftRows } from '@plateau/training'
import { describe, expect, test } from 'vitest'
import { StepPieces, type WeightedRows } from './step-pieces.js'

const shape = { sequences: 4, positions: 8, rowsPerStep: 20, mostRows: 26 }
const rows = (length: number) => ({ length }) as DraftRows

function taken(lengths: readonly number[], steps: number): number[] {
  const pieces = new StepPieces(shape)
  let at = 0
  const next = (): WeightedRows => ({ rows: rows(lengths[at++ % lengths.length]!) })
  return Array.from({ length: steps }, () => pieces.take(next).reduce((sum, { from, to }) => sum + to - from, 0))
}

describe('the pieces of steps', () => {
  test('however long windows are, as many rows after as many steps, to within a piece', () => {
    for (const lengths of [[8], [23], [6], [50, 7, 13], [100]]) {
      const total = taken(lengths, 40).reduce((sum, count) => sum + count, 0)
      expect(Math.abs(total - 40 * shape.rowsPerStep), `windows of ${lengths.join()}`).toBeLessThanOrEqual(8)
    }
  })

  test('no step has more rows than it may', () => {
    for (const lengths of [[23], [50, 7, 13], [1, 64]]) {
      expect(Math.max(...taken(lengths, 40))).toBeLessThanOrEqual(shape.mostRows)
    }
  })

  test('rows behind the last that counts are left out, and windows of which none counts', () => {
    const windows = [
      { rows: rows(5), weights: Float32Array.of(0, 0, 0, 0, 0) },
      { rows: rows(12), weights: Float32Array.of(0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0) },
    ]
    let at = 0
    const pieces = new StepPieces(shape).take(() => windows[at++ % 2]!)
    expect(pieces.slice(0, 2).map(({ from, to }) => [from, to])).toEqual([
      [0, 4],
      [8, 11],
    ])
  })
})
