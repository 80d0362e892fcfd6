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
  /** [N, k]: rows of the draft's output head, all different within a row. */
  readonly ids: BigInt64Array
  /** [N, k], 0 in padding. What the target gives to tokens that the draft cannot propose is missing: it is tail. */
  readonly probs: Float32Array
  /** [N]: 1 for a row, 0 for padding. */
  readonly present: Float32Array
}

/**
 * Pieces as the graphs of a head take them. `draftRows` is the head's `draftRowsOfTokens`: where it has a vocabulary, a
 * row's listed tokens are the first `listed` that the vocabulary holds.
 */
export function fillBatch(
  pieces: readonly Piece[],
  target: DraftTarget,
  listed: number,
  sequences: number,
  positions: number,
  draftRows?: Int32Array,
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
    for (let r = from; r < to; r++) {
      fillListed(rows, r, draftRows, { ids, probs, at: (start + r - from) * listed, listed })
    }
  }
  // Ids of one row must differ in padding, too.
  for (let row = 0; row < n; row++) {
    if (present[row] === 0) for (let j = 0; j < listed; j++) ids[row * listed + j] = BigInt(j)
  }
  return { token, feature, ids, probs, present }
}

interface ListedSlots {
  readonly ids: BigInt64Array
  readonly probs: Float32Array
  readonly at: number
  readonly listed: number
}

/** The first listed tokens that the draft can propose; where there are too few, other rows of its head, probability 0. */
function fillListed(rows: DraftRows, row: number, draftRows: Int32Array | undefined, slots: ListedSlots): void {
  const { ids, probs, at, listed } = slots
  const taken = new Set<number>()
  for (let j = row * rows.listed; j < (row + 1) * rows.listed && taken.size < listed; j++) {
    const token = rows.listedIds[j]!
    const id = draftRows === undefined ? token : draftRows[token]!
    if (id < 0) continue
    ids[at + taken.size] = BigInt(id)
    probs[at + taken.size] = rows.listedProbs[j]!
    taken.add(id)
  }
  for (let id = 0, slot = taken.size; slot < listed; id++) if (!taken.has(id)) ids[at + slot++] = BigInt(id)
}
