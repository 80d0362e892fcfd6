import { embedRows, type DraftRows, type DraftTarget } from './draft-rows.js'

/** Rows [from, to) of a window: one sequence of a batch. */
export interface Piece<Rows = DraftRows> {
  readonly rows: Rows
  readonly from: number
  readonly to: number
}

/** Windows cut to sequences of at most `positions` rows, `sequences` to a batch; order is kept. */
export function batches<Rows extends { readonly length: number }>(
  windows: readonly Rows[],
  sequences: number,
  positions: number,
): Piece<Rows>[][] {
  const pieces = windows.flatMap((rows) =>
    Array.from({ length: Math.ceil(rows.length / positions) }, (_, i) => ({
      rows,
      from: i * positions,
      to: Math.min(rows.length, (i + 1) * positions),
    })),
  )
  return Array.from({ length: Math.ceil(pieces.length / sequences) }, (_, i) =>
    pieces.slice(i * sequences, (i + 1) * sequences),
  )
}

export interface FilledBatch {
  /** [N, H]. */
  readonly token: Float32Array
  /** [N, H]. */
  readonly feature: Float32Array
  /** [N, k]. */
  readonly ids: BigInt64Array
  /** [N, k], 0 in padding. */
  readonly probs: Float32Array
  /** [N]: 1 for a row, 0 for padding. */
  readonly present: Float32Array
}

export function fillBatch(
  pieces: readonly Piece[],
  target: DraftTarget,
  listed: number,
  sequences: number,
  positions: number,
): FilledBatch {
  const hidden = target.norm.length
  const n = sequences * positions
  const token = new Float32Array(n * hidden)
  const feature = new Float32Array(n * hidden)
  const ids = new BigInt64Array(n * listed)
  const probs = new Float32Array(n * listed)
  const present = new Float32Array(n)
  for (const [sequence, { rows, from, to }] of pieces.entries()) {
    const start = sequence * positions
    embedRows(target, rows.tokens.subarray(from, to), token, start)
    feature.set(rows.features.subarray(from * hidden, to * hidden), start * hidden)
    present.fill(1, start, start + to - from)
    for (let r = from; r < to; r++) fillListed(rows, r, ids, probs, (start + r - from) * listed, listed)
  }
  // Ids of one row must differ in padding, too.
  for (let row = 0; row < n; row++) {
    if (present[row] === 0) for (let j = 0; j < listed; j++) ids[row * listed + j] = BigInt(j)
  }
  return { token, feature, ids, probs, present }
}

/** The first `listed` tokens of a row; where it lists fewer, other tokens of probability 0. */
function fillListed(
  rows: DraftRows,
  row: number,
  ids: BigInt64Array,
  probs: Float32Array,
  at: number,
  listed: number,
): void {
  const known = Math.min(listed, rows.listed)
  for (let j = 0; j < known; j++) {
    ids[at + j] = BigInt(rows.listedIds[row * rows.listed + j]!)
    probs[at + j] = rows.listedProbs[row * rows.listed + j]!
  }
  if (known === listed) return
  const taken = new Set(rows.listedIds.subarray(row * rows.listed, (row + 1) * rows.listed))
  for (let j = known, id = 0; j < listed; id++) if (!taken.has(id)) ids[at + j++] = BigInt(id)
}
