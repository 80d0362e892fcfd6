import type { Piece } from '@plateau/training'
import { randomOrder } from './random-order.js'
import { StepPieces, type StepShape, type WeightedRows } from './step-pieces.js'

/** Where the pieces of an arm's steps come from. */
export interface PieceSource<Model> {
  /** Of the next step. */
  pieces(): Piece[]
  /** Before step `step`, from 0. What it does is selection, not training. */
  before?(step: number, draft: () => Model): Promise<void>
}

/** The same windows epoch after epoch, each in another order. */
export function fixedSource(
  kept: readonly WeightedRows[],
  shape: StepShape,
  random: () => number,
): PieceSource<unknown> {
  const order = randomOrder(kept, random)
  const cut = new StepPieces(shape)
  return { pieces: () => cut.take(() => order.next().value) }
}
