import { FloatFormat, packTopK, type TopK } from '@plateau/contracts'
import type { SparseDistribution } from '@plateau/speculation'

/**
 * Rows of any length as one [rows, k] block: shorter rows are filled with tokens of probability 0 that they do not
 * list, because a row may not list a token twice. Undefined when there are no rows.
 */
export function packRows(rows: readonly SparseDistribution[]): TopK | undefined {
  if (rows.length === 0) return undefined
  const k = Math.max(...rows.map((row) => row.ids.length))
  const ids = new Uint32Array(rows.length * k)
  const probs = new Float32Array(rows.length * k)
  for (const [i, row] of rows.entries()) {
    ids.set(row.ids, i * k)
    probs.set(row.probs, i * k)
    if (row.ids.length < k) ids.set(unlisted(row, k - row.ids.length), i * k + row.ids.length)
  }
  return packTopK(ids, probs, k, FloatFormat.FLOAT_FORMAT_FP32)
}

function unlisted(row: SparseDistribution, count: number): number[] {
  const listed = new Set(Array.from(row.ids))
  const found: number[] = []
  for (let id = 0; found.length < count; id++) if (!listed.has(id)) found.push(id)
  return found
}
