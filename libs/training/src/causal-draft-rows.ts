/** Captured windows as batches that a causal draft trains on and is judged by. */
import type { DraftVocabularyMap } from '@plateau/causal-lm'
import { chooseRows, type ChosenRows, type Piece } from './draft-batch.js'
import type { DraftRows } from './draft-rows.js'
import type { LanguageModelBatch } from './language-model-batch.js'

/** What a causal draft reads of a window: it needs no states of the target. */
export type TokenRows = Pick<DraftRows, 'length' | 'tokens' | 'listed' | 'listedIds' | 'listedProbs'>

export interface TokenBatchShape {
  readonly sequences: number
  readonly positions: number
  /** k: target tokens listed per row; the first ones, where a window lists more. */
  readonly targetsPerRow: number
  /** S: how many rows meet the output head in training, as the graph was built; undefined: all. */
  readonly selectedRows?: number
}

/**
 * One sequence per piece, padded at its end with rows of weight 0; weights are the pieces', scaled to sum to 1. Ids are rows
 * of the draft. What a row lists of tokens that the draft does not have is the unknown's together: the draft learns how
 * often it can say nothing.
 */
export function tokenBatch(
  pieces: readonly Piece<TokenRows>[],
  vocabulary: DraftVocabularyMap,
  shape: TokenBatchShape,
): LanguageModelBatch {
  const { sequences, positions, targetsPerRow: k } = shape
  const n = sequences * positions
  const batch = {
    ...shape,
    inputIds: new BigInt64Array(n),
    targetIds: new BigInt64Array(n * k),
    targetProbs: new Float32Array(n * k),
    rowWeights: new Float32Array(n),
  }
  // Ids of one row must differ, in padding too.
  for (let at = 0; at < n * k; at++) batch.targetIds[at] = BigInt(at % k)
  let total = 0
  for (const [sequence, { rows, from, to, weights }] of pieces.entries()) {
    for (let r = from; r < to; r++) {
      const row = sequence * positions + r - from
      const weight = weights?.[r] ?? 1
      batch.inputIds[row] = BigInt(vocabulary.rowOf[rows.tokens[r]!]!)
      batch.rowWeights[row] = weight
      total += weight
      listRow(
        rows,
        r,
        vocabulary,
        batch.targetIds.subarray(row * k, (row + 1) * k),
        batch.targetProbs.subarray(row * k),
      )
    }
  }
  for (let row = 0; row < n; row++) batch.rowWeights[row]! /= total
  return batch
}

/**
 * What a graph with `selectedRows` = `most` reads of a batch: the rows that count, the heaviest where they are more; their
 * weights sum to 1.
 */
export function selectedTokenRows(batch: LanguageModelBatch, most: number): ChosenRows {
  const { targetIds: ids, targetProbs: probs, rowWeights, targetsPerRow } = batch
  const chosen = chooseRows({ ids, probs, weights: rowWeights }, targetsPerRow, most)
  const total = chosen.weights.reduce((sum, weight) => sum + weight, 0)
  return { ...chosen, weights: chosen.weights.map((weight) => weight / total) }
}

function listRow(
  rows: TokenRows,
  r: number,
  { rowOf, unknown }: DraftVocabularyMap,
  ids: BigInt64Array,
  probs: Float32Array,
): void {
  const taken = new Set<number>()
  let unknownAt = -1
  for (let j = r * rows.listed, end = j + Math.min(ids.length, rows.listed); j < end; j++) {
    const id = rowOf[rows.listedIds[j]!]!
    if (id === unknown && unknownAt >= 0) probs[unknownAt]! += rows.listedProbs[j]!
    else {
      if (id === unknown) unknownAt = taken.size
      ids[taken.size] = BigInt(id)
      probs[taken.size] = rows.listedProbs[j]!
      taken.add(id)
    }
  }
  // Fewer than k: further tokens, of probability 0.
  for (let id = 0, at = taken.size; at < ids.length; id++) if (!taken.has(id)) ids[at++] = BigInt(id)
}
