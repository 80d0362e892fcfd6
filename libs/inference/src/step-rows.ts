/**
 * What a step says about p at each scored position; row r belongs to the r-th scored token and describes what follows
 * it. H = hidden size, k = topK. Logits are raw: log p = logit - logSumExp.
 */
export interface StepRows {
  /** Scored positions, R. */
  readonly count: number
  readonly topK: number
  /** [R, k], most probable first; equal logits in order of id. */
  readonly topIds: Int32Array
  /** [R, k] */
  readonly topLogits: Float32Array
  /** [R], log sum exp of all logits. */
  readonly logSumExp: Float32Array
  /** [R], exact sum of p^2 over the vocabulary. */
  readonly sumSquares: Float32Array
  /** [R], nats. */
  readonly entropy: Float32Array
  /** [R], log sum exp of logits / temperature. */
  readonly scaledLogSumExp: Float32Array
  /** [R, H]: hidden state after the last norm, from which the logits are computed. */
  readonly hidden: Float32Array
  /** One array per row: the logits of that row's candidate ids, in their order. Empty when none were asked for. */
  readonly candidateLogits: readonly Float32Array[]
  /** [n, H], when features were asked for: the hidden states of the last n tokens, scored or not. */
  readonly features: Float32Array
  /** Time of the runs it took part in, microseconds, without the wait for others'. */
  readonly elapsedUs: number
}

/** The pieces of a step that ran in chunks, as one. */
export function joinRows(pieces: readonly StepRows[]): StepRows {
  const [first] = pieces
  if (pieces.length === 1) return first!
  const elapsedUs = pieces.reduce((sum, piece) => sum + piece.elapsedUs, 0)
  const floats = (field: FloatField) => joinFloats(pieces.map((piece) => piece[field]))
  return {
    count: pieces.reduce((sum, piece) => sum + piece.count, 0),
    topK: pieces.find((piece) => piece.count > 0)?.topK ?? 0,
    topIds: Int32Array.from(pieces.flatMap((piece) => Array.from(piece.topIds))),
    topLogits: floats('topLogits'),
    logSumExp: floats('logSumExp'),
    sumSquares: floats('sumSquares'),
    entropy: floats('entropy'),
    scaledLogSumExp: floats('scaledLogSumExp'),
    hidden: floats('hidden'),
    candidateLogits: pieces.flatMap((piece) => piece.candidateLogits),
    features: floats('features'),
    elapsedUs,
  }
}

type FloatField = 'topLogits' | 'logSumExp' | 'sumSquares' | 'entropy' | 'scaledLogSumExp' | 'hidden' | 'features'

function joinFloats(parts: readonly Float32Array[]): Float32Array {
  const filled = parts.filter((part) => part.length > 0)
  if (filled.length === 1) return filled[0]!
  const joined = new Float32Array(filled.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of filled) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}
