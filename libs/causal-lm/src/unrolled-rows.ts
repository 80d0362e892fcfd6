/** Which rows of a batch of B sequences of T rows belong together when a head is unrolled over its own states. */
import type { StaticOps, Tensor } from '@plateau/tensor-graph'

interface Rows {
  readonly sequences: number
  readonly positions: number
}

/** For every row the one `offset` later in its sequence, or the sequence's last: [N]. */
export function laterRows(raw: StaticOps, { sequences, positions }: Rows, offset: number): Tensor {
  return ids(
    raw,
    Array.from({ length: sequences * positions }, (_, row) => {
      const at = row % positions
      return row - at + Math.min(at + offset, positions - 1)
    }),
  )
}

/**
 * For every row of `targets` (undefined: all) the one `offset` earlier in its sequence, [S], and 1 where there is one, 0
 * where the id stands for nothing, [S].
 */
export function earlierRows(
  raw: StaticOps,
  { sequences, positions }: Rows,
  offset: number,
  targets: Tensor | undefined,
): { readonly ids: Tensor; readonly exists: Tensor } {
  const rows = sequences * positions
  const earlier = Array.from({ length: rows }, (_, row) => (row % positions < offset ? 0 : row - offset))
  const exists = Float32Array.from({ length: rows }, (_, row) => (row % positions < offset ? 0 : 1))
  const all = { ids: ids(raw, earlier), exists: raw.constant(exists, [rows]) }
  if (targets === undefined) return all
  // Looked up: the selection is known only when the graph runs.
  const pick = (table: Tensor): Tensor => raw.node('Gather', [table, targets], targets.shape)
  return { ids: pick(all.ids), exists: pick(all.exists) }
}

function ids(raw: StaticOps, values: readonly number[]): Tensor {
  const name = raw.graph.constant(BigInt64Array.from(values, BigInt), [values.length])
  return { name, shape: [values.length], type: 'i64' }
}
