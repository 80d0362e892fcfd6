import { decoderOutputs } from '@plateau/causal-lm'
import { int64, type HostTensor } from './host-tensor.js'

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
  /** [R, H], the features: hidden state after the last norm, from which the logits are computed. */
  readonly hidden: Float32Array
  /** One array per row: the logits of that row's candidate ids, in their order. Empty when none were asked for. */
  readonly candidateLogits: readonly Float32Array[]
  /** Time inside the engine, microseconds, without the wait for other sequences' steps. */
  readonly elapsedUs: number
}

/** Rows of unequal length as one i64 tensor [rows, longest]; id 0 fills up. */
export function candidateFeed(candidates: readonly ArrayLike<number>[], rows: number): HostTensor {
  const width = candidates.reduce((longest, ids) => Math.max(longest, ids.length), 1)
  const data = new BigInt64Array(rows * width)
  candidates.forEach((ids, row) => {
    for (let i = 0; i < ids.length; i++) data[row * width + i] = BigInt(ids[i]!)
  })
  return int64(data, [rows, width])
}

/** The engine's outputs under their names. `count` 0: nothing was asked about this chunk. */
export function rowsFrom(
  outputs: Readonly<Record<string, HostTensor>>,
  count: number,
  candidates: readonly ArrayLike<number>[] | undefined,
  elapsedUs: number,
): StepRows {
  if (count === 0) return { ...noRows, elapsedUs }
  const floats = (name: string) => outputs[name]!.data as Float32Array
  const stats = floats(decoderOutputs.stats)
  const column = (index: number) => Float32Array.from({ length: count }, (_, row) => stats[row * 4 + index]!)
  const atCandidates = outputs[decoderOutputs.candidateLogits]!
  const width = atCandidates.dims[1]!
  return {
    count,
    topK: outputs[decoderOutputs.topIds]!.dims[1]!,
    topIds: outputs[decoderOutputs.topIds]!.data as Int32Array,
    topLogits: floats(decoderOutputs.topLogits),
    logSumExp: column(0),
    sumSquares: column(1),
    entropy: column(2),
    scaledLogSumExp: column(3),
    hidden: floats(decoderOutputs.hidden),
    candidateLogits: (candidates ?? []).map((ids, row) =>
      (atCandidates.data as Float32Array).subarray(row * width, row * width + ids.length),
    ),
    elapsedUs,
  }
}

/** The rows of a step that ran in chunks, as one. */
export function joinRows(pieces: readonly StepRows[]): StepRows {
  const elapsedUs = pieces.reduce((sum, piece) => sum + piece.elapsedUs, 0)
  const scored = pieces.filter((piece) => piece.count > 0)
  const [first] = scored
  if (scored.length <= 1) return { ...(first ?? noRows), elapsedUs }
  const floats = (field: FloatField) => joinFloats(scored.map((piece) => piece[field]))
  return {
    count: scored.reduce((sum, piece) => sum + piece.count, 0),
    topK: first!.topK,
    topIds: Int32Array.from(scored.flatMap((piece) => Array.from(piece.topIds))),
    topLogits: floats('topLogits'),
    logSumExp: floats('logSumExp'),
    sumSquares: floats('sumSquares'),
    entropy: floats('entropy'),
    scaledLogSumExp: floats('scaledLogSumExp'),
    hidden: floats('hidden'),
    candidateLogits: scored.flatMap((piece) => piece.candidateLogits),
    elapsedUs,
  }
}

type FloatField = 'topLogits' | 'logSumExp' | 'sumSquares' | 'entropy' | 'scaledLogSumExp' | 'hidden'

function joinFloats(parts: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

const noRows: StepRows = {
  count: 0,
  topK: 0,
  topIds: new Int32Array(0),
  topLogits: new Float32Array(0),
  logSumExp: new Float32Array(0),
  sumSquares: new Float32Array(0),
  entropy: new Float32Array(0),
  scaledLogSumExp: new Float32Array(0),
  hidden: new Float32Array(0),
  candidateLogits: [],
  elapsedUs: 0,
}
