import { type Cell, cellsOf } from './cells.js'
import { type Judgement, judgementsOf } from './judgements.js'
import type { Results } from './results.js'

export interface JudgedCell {
  readonly cell: Cell
  readonly judgements: readonly Judgement[]
}

export function judgedCells(results: Results): JudgedCell[] {
  return cellsOf(results).map((cell) => ({ cell, judgements: judgementsOf(cell) }))
}
