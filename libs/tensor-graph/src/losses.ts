/**
 * Losses between a model's logits and a target distribution of which only the k largest probabilities are known.
 *
 * Symbols, per row: z [V] logits and q = softmax(z); L the k listed tokens; p_i, i in L, the target's probabilities;
 * r = 1 - sum_L p_i its tail mass; s = 1 - sum_L q_i the model's. All unlisted tokens together are one bucket, so both
 * losses compare the (k+1)-outcome distributions (p_L, r) and (q_L, s): nothing is assumed about how the tail is spread.
 *
 * Rows are weighed by w and summed: pass w = 1/N for a mean, 0 for padding. Ids of one row must differ.
 */
import type { Tape } from './autodiff.js'
import { size, type Tensor } from './static-ops.js'

export interface SparseTargets {
  /** [N, k], i64. */
  readonly ids: Tensor
  /** [N, k]; a row sums to 1 minus the tail mass. */
  readonly probs: Tensor
  /** [N]. */
  readonly weights: Tensor
}

/** Below this, log(s) and r / s are taken at this value: 1 - sum q in 32 bits knows nothing finer. */
const smallestTail = 1e-6
/** Keeps 0 log 0 at 0. */
const smallestProb = 1e-30

/**
 * KL(p || q) = sum_L p_i (log p_i - log q_i) + r (log r - log s), in nats. With k = 1 and p = 1 it is the usual
 * cross-entropy of a hard label.
 *
 * Gradient: d(log q_i)/dz_v = [v = i] - q_v, and d(log s)/dz_v = [v not in L] q_v / s - q_v. Hence, with
 * t = sum_L p_i + r (1, but for the target's rounding),
 *     dz_v = t q_v - p_v            for v in L
 *     dz_v = t q_v - (r / s) q_v    otherwise
 * which is q (t - r/s) everywhere plus q_i r/s - p_i at the listed tokens: one dense product and one sparse addition.
 */
export function klLoss(tape: Tape, logits: Tensor, targets: SparseTargets): Tensor {
  const { raw } = tape
  const { ids, probs: p } = targets
  const weights = raw.reshape(targets.weights, [size(logits, 0), 1])
  const q = raw.softmax(logits)
  const listedQ = raw.gatherColumns(q, ids)
  const s = raw.max(raw.sub(raw.scalar(1), rowSum(tape, listedQ)), raw.scalar(smallestTail))
  const listedP = rowSum(tape, p)
  const r = raw.max(raw.sub(raw.scalar(1), listedP), raw.scalar(0))

  // log q_i = z_i - lse, and lse = max z - log(max q): no second pass of exponentials, no underflow of log(q_i).
  const logSumExp = raw.sub(raw.reduce('ReduceMax', logits, [1]), raw.map('Log', raw.reduce('ReduceMax', q, [1])))
  const logQ = raw.sub(raw.gatherColumns(logits, ids), logSumExp)
  const listedTerms = raw.mul(p, raw.sub(safeLog(tape, p), logQ))
  const tailTerm = raw.mul(r, raw.sub(safeLog(tape, r), raw.map('Log', s)))
  const rowLoss = raw.mul(raw.add(rowSum(tape, listedTerms), tailTerm), weights)
  const loss = raw.reshape(raw.reduce('ReduceSum', rowLoss, [0, 1]), [])

  tape.record([loss], [logits], ([dLoss]) => {
    if (dLoss === undefined) return []
    const scale = raw.mul(weights, dLoss)
    const tailRatio = raw.div(r, s)
    const dense = raw.mul(q, raw.mul(raw.sub(raw.add(listedP, r), tailRatio), scale))
    const sparse = raw.mul(raw.sub(raw.mul(listedQ, tailRatio), p), scale)
    return [raw.scatterAddColumns(dense, ids, sparse)]
  })
  return loss
}

/**
 * Total variation TV(p, q) = 1/2 (sum_L |q_i - p_i| + |s - r|). One minus it is the acceptance probability of
 * speculative sampling, so far as the listed tokens and the tail's mass can tell.
 *
 * Gradient: let c_v = 1/2 sign(q_v - p_v) for v in L, and c = 1/2 sign(s - r) for every other v; with
 * m = sum_L c_i q_i + c s,
 *     dz_v = q_v (c_v - m)
 * which is q (c - m) everywhere plus q_i (c_i - c) at the listed tokens.
 */
export function totalVariationLoss(tape: Tape, logits: Tensor, targets: SparseTargets): Tensor {
  const { raw } = tape
  const { ids, probs: p } = targets
  const half = raw.scalar(0.5)
  const weights = raw.reshape(targets.weights, [size(logits, 0), 1])
  const q = raw.softmax(logits)
  const listedQ = raw.gatherColumns(q, ids)
  const s = raw.sub(raw.scalar(1), rowSum(tape, listedQ))
  const r = raw.max(raw.sub(raw.scalar(1), rowSum(tape, p)), raw.scalar(0))
  const difference = raw.sub(listedQ, p)
  const tailDifference = raw.sub(s, r)
  const distance = raw.add(rowSum(tape, raw.map('Abs', difference)), raw.map('Abs', tailDifference))
  const rowLoss = raw.mul(raw.mul(distance, half), weights)
  const loss = raw.reshape(raw.reduce('ReduceSum', rowLoss, [0, 1]), [])

  tape.record([loss], [logits], ([dLoss]) => {
    if (dLoss === undefined) return []
    const scale = raw.mul(weights, dLoss)
    const listedSign = raw.mul(raw.map('Sign', difference), half)
    const tailSign = raw.mul(raw.map('Sign', tailDifference), half)
    const mean = raw.add(rowSum(tape, raw.mul(listedSign, listedQ)), raw.mul(tailSign, s))
    const dense = raw.mul(q, raw.mul(raw.sub(tailSign, mean), scale))
    const sparse = raw.mul(raw.mul(listedQ, raw.sub(listedSign, tailSign)), scale)
    return [raw.scatterAddColumns(dense, ids, sparse)]
  })
  return loss
}

function rowSum(tape: Tape, a: Tensor): Tensor {
  return tape.raw.reduce('ReduceSum', a, [1])
}

function safeLog(tape: Tape, a: Tensor): Tensor {
  return tape.raw.map('Log', tape.raw.max(a, tape.raw.scalar(smallestProb)))
}
