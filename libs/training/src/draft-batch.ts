import { embedRows, type DraftRows, type DraftTarget } from './draft-rows.js'

/** Rows [from, to) of a window: one sequence of a batch. */
export interface Piece<Rows = DraftRows> {
  readonly rows: Rows
  readonly from: number
  readonly to: number
  /** What each row of the window counts in a gradient step, [rows.length]; 0: context only. Not set: 1 each. */
  readonly weights?: Float32Array
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
  /** [N]: what a row counts, 0 for padding. */
  readonly weights: Float32Array
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
  const weights = new Float32Array(n)
  for (const [sequence, { rows, from, to, weights: counts }] of pieces.entries()) {
    const start = sequence * positions
    embedRows(target, rows.tokens.subarray(from, to), token, start)
    feature.set(rows.features.subarray(from * hidden, to * hidden), start * hidden)
    if (counts === undefined) weights.fill(1, start, start + to - from)
    else weights.set(counts.subarray(from, to), start)
    for (let r = from; r < to; r++) {
      fillListed(rows, r, draftRows, { ids, probs, at: (start + r - from) * listed, listed })
    }
  }
  // Ids of one row must differ in padding, too.
  for (let sequence = 0; sequence < sequences; sequence++) {
    const piece = pieces[sequence]
    const start = sequence * positions + (piece === undefined ? 0 : piece.to - piece.from)
    for (let row = start; row < (sequence + 1) * positions; row++) fillIds(ids, row, listed)
  }
  return { token, feature, ids, probs, weights }
}

function fillIds(ids: BigInt64Array, row: number, listed: number): void {
  for (let j = 0; j < listed; j++) ids[row * listed + j] = BigInt(j)
}

/** The rows of a batch that meet the output head, S of them. */
export interface ChosenRows {
  /** [S]: which rows of the batch. */
  readonly selected: BigInt64Array
  /** [S, k]. */
  readonly ids: BigInt64Array
  /** [S, k]. */
  readonly probs: Float32Array
  /** [S]; 0 where fewer than S rows count. */
  readonly weights: Float32Array
}

/** The rows that count anything; where they are more than `most`, those that count most, the earlier of equals. */
export function chooseRows(
  { ids, probs, weights }: Pick<FilledBatch, 'ids' | 'probs' | 'weights'>,
  listed: number,
  most: number,
): ChosenRows {
  const counting = Array.from(weights.keys()).filter((row) => weights[row]! > 0)
  const kept =
    counting.length <= most ? counting : counting.sort((a, b) => weights[b]! - weights[a]! || a - b).slice(0, most)
  const chosen = {
    selected: new BigInt64Array(most),
    ids: new BigInt64Array(most * listed),
    probs: new Float32Array(most * listed),
    weights: new Float32Array(most),
  }
  for (let to = 0; to < most; to++) {
    const row = kept[to]
    if (row === undefined) {
      fillIds(chosen.ids, to, listed)
      continue
    }
    chosen.selected[to] = BigInt(row)
    chosen.ids.set(ids.subarray(row * listed, (row + 1) * listed), to * listed)
    chosen.probs.set(probs.subarray(row * listed, (row + 1) * listed), to * listed)
    chosen.weights[to] = weights[row]!
  }
  return chosen
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
