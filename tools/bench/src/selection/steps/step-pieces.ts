import type { DraftRows, Piece } from '@plateau/training'

/** A window that an arm trains on. */
export interface WeightedRows {
  readonly rows: DraftRows
  /** What each row counts, [rows.length]; 0: context only. Not set: 1 each. */
  readonly weights?: Float32Array
}

export interface StepShape {
  /** Pieces that a step has room for. */
  readonly sequences: number
  /** Rows of the longest piece. */
  readonly positions: number
  /** Rows of a step, on average: fewer than there is room for, because short windows do not fill their pieces. */
  readonly rowsPerStep: number
  /** Rows of any step. */
  readonly mostRows: number
}

/**
 * Cuts windows into the pieces of steps. However long its windows are, an arm has gone over the same number of rows after
 * the same number of steps, to within a piece: a step with too many is followed by one with fewer.
 */
export class StepPieces {
  readonly #shape: StepShape
  #waiting: Piece[] = []
  #owed = 0

  constructor(shape: StepShape) {
    this.#shape = shape
  }

  /** Of the next step, at least one. `next` gives the window to go on with. */
  take(next: () => WeightedRows): Piece[] {
    const { sequences, positions, rowsPerStep, mostRows } = this.#shape
    const pieces: Piece[] = []
    let taken = 0
    this.#owed += rowsPerStep
    while (pieces.length === 0 || (taken < this.#owed && pieces.length < sequences)) {
      while (this.#waiting.length === 0) this.#waiting = cut(next(), positions)
      const { from, to } = this.#waiting[0]!
      if (taken + to - from > mostRows) break
      taken += to - from
      pieces.push(this.#waiting.shift()!)
    }
    this.#owed -= taken
    return pieces
  }

  /** The rest of the window that was cut last is not used: what follows comes from elsewhere. */
  drop(): void {
    this.#waiting = []
  }
}

/** Rows after the last one that counts teach nothing: they are no context of any. */
function cut({ rows, weights }: WeightedRows, positions: number): Piece[] {
  const pieces: Piece[] = []
  for (let from = 0; from < rows.length; from += positions) {
    let to = Math.min(rows.length, from + positions)
    while (to > from && weights?.[to - 1] === 0) to--
    if (to > from) pieces.push({ rows, from, to, ...(weights && { weights }) })
  }
  return pieces
}
