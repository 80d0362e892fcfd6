/**
 * Losses between a model's logits and a target distribution of which only the k largest probabilities are known.
 *
 * Symbols, per row: z [V] logits and q = softmax(z); L the k listed tokens; p_i, i in L, the target's probabilities;
 * r = 1 - sum_L p_i its tail mass; s = 1 - sum_L q_i the model's. All unlisted tokens together are one bucket, so the
 * losses compare the (k+1)-outcome distributions (p_L, r) and (q_L, s): nothing is assumed about how the tail is spread.
 *
 * Every gradient here has the form dz_v = c q_v, plus an addition e_i at the listed tokens: one dense product and one
 * sparse addition, whatever the loss. Rows are weighed by w and summed: pass w = 1/N for a mean, 0 for padding. Ids of one
 * row must differ.
 */
import type { Tape } from './autodiff.js'
import { size, type StaticOps, type Tensor } from './static-ops.js'

export interface SparseTargets {
  /** [N, k], i64. */
  readonly ids: Tensor
  /** [N, k]; a row sums to 1 minus the tail mass. */
  readonly probs: Tensor
  /** [N]. */
  readonly weights: Tensor
}

/** [] from logits [N, V]. */
export type SparseLoss = (tape: Tape, logits: Tensor, targets: SparseTargets) => Tensor

/** Below this, log(s) and r / s are taken at this value: 1 - sum q in 32 bits knows nothing finer. */
const smallestTail = 1e-6
/** Keeps 0 log 0 at 0. */
const smallestProb = 1e-30

/**
 * KL(p || q) = sum_L p_i (log p_i - log q_i) + r (log r - log s), in nats. With k = 1 and p = 1 it is the usual
 * cross-entropy of a hard label.
 */
export const klLoss: SparseLoss = (tape, logits, targets) => {
  const outcomes = outcomesOf(tape, logits, targets)
  return recorded(tape, logits, targets, outcomes, klRows(tape.raw, logits, targets, outcomes))
}

/**
 * Total variation TV(p, q) = 1/2 (sum_L |q_i - p_i| + |s - r|). One minus it is the acceptance probability of
 * speculative sampling, so far as the listed tokens and the tail's mass can tell.
 */
export const totalVariationLoss: SparseLoss = (tape, logits, targets) => {
  const outcomes = outcomesOf(tape, logits, targets)
  return recorded(tape, logits, targets, outcomes, totalVariationRows(tape.raw, targets, outcomes))
}

/** The paper's best; larger turns to TV sooner. */
const lkEta = 3

/**
 * The hybrid of "LK losses: direct acceptance rate optimization" (arXiv 2602.23881): with alpha = 1 - TV the acceptance
 * probability of the row,
 *
 *     L = lambda KL + (1 - lambda) TV        lambda = exp(-eta alpha)
 *
 * lambda follows what is observed and is not differentiated. Where the draft is far off, KL's gradient leads it; TV's,
 * which vanishes there (it is q times something, and q is small where p is large), takes over as the two overlap.
 */
export const lkHybridLoss: SparseLoss = (tape, logits, targets) => {
  const { raw } = tape
  const outcomes = outcomesOf(tape, logits, targets)
  const kl = klRows(raw, logits, targets, outcomes)
  const tv = totalVariationRows(raw, targets, outcomes)
  const one = raw.scalar(1)
  const lambda = raw.map('Exp', raw.mul(raw.sub(tv.loss, one), raw.scalar(lkEta)))
  const mixed = (a: Tensor, b: Tensor): Tensor => raw.add(raw.mul(a, lambda), raw.mul(b, raw.sub(one, lambda)))
  return recorded(tape, logits, targets, outcomes, {
    loss: mixed(kl.loss, tv.loss),
    dense: mixed(kl.dense, tv.dense),
    sparse: mixed(kl.sparse, tv.sparse),
  })
}

/** By the names that settings and options have for them. */
export const losses = { kl: klLoss, tv: totalVariationLoss, 'lk-hybrid': lkHybridLoss } satisfies Record<
  string,
  SparseLoss
>

/** What the losses share. */
interface Outcomes {
  /** [N, V]. */
  readonly q: Tensor
  /** q at the listed tokens, [N, k]. */
  readonly listedQ: Tensor
  /** s as it is, [N, 1]. */
  readonly modelTail: Tensor
  /** sum_L p_i, [N, 1]. */
  readonly listedMass: Tensor
  /** r, [N, 1]. */
  readonly tail: Tensor
}

/** A loss row by row, and its gradient: dz_v = dense q_v + sparse_i where v is listed token i. */
interface RowLoss {
  /** [N, 1]. */
  readonly loss: Tensor
  /** [N, 1]. */
  readonly dense: Tensor
  /** [N, k]. */
  readonly sparse: Tensor
}

function outcomesOf({ raw }: Tape, logits: Tensor, { ids, probs }: SparseTargets): Outcomes {
  const one = raw.scalar(1)
  const q = raw.softmax(logits)
  const listedQ = raw.gatherColumns(q, ids)
  const listedMass = rowSum(raw, probs)
  return {
    q,
    listedQ,
    modelTail: raw.sub(one, rowSum(raw, listedQ)),
    listedMass,
    tail: raw.max(raw.sub(one, listedMass), raw.scalar(0)),
  }
}

/**
 * d(log q_i)/dz_v = [v = i] - q_v, and d(log s)/dz_v = [v not in L] q_v / s - q_v. Hence, with t = sum_L p_i + r (1, but
 * for the target's rounding),
 *     dz_v = t q_v - p_v            for v in L
 *     dz_v = t q_v - (r / s) q_v    otherwise
 * which is (t - r/s) q everywhere plus q_i r/s - p_i at the listed tokens.
 */
function klRows(raw: StaticOps, logits: Tensor, { ids, probs: p }: SparseTargets, outcomes: Outcomes): RowLoss {
  const { q, listedQ, listedMass, tail: r } = outcomes
  const s = raw.max(outcomes.modelTail, raw.scalar(smallestTail))
  // log q_i = z_i - lse, and lse = max z - log(max q): no second pass of exponentials, no underflow of log(q_i).
  const logSumExp = raw.sub(raw.reduce('ReduceMax', logits, [1]), raw.map('Log', raw.reduce('ReduceMax', q, [1])))
  const logQ = raw.sub(raw.gatherColumns(logits, ids), logSumExp)
  const listedTerms = raw.mul(p, raw.sub(safeLog(raw, p), logQ))
  const tailTerm = raw.mul(r, raw.sub(safeLog(raw, r), raw.map('Log', s)))
  const tailRatio = raw.div(r, s)
  return {
    loss: raw.add(rowSum(raw, listedTerms), tailTerm),
    dense: raw.sub(raw.add(listedMass, r), tailRatio),
    sparse: raw.sub(raw.mul(listedQ, tailRatio), p),
  }
}

/**
 * Let c_v = 1/2 sign(q_v - p_v) for v in L, and c = 1/2 sign(s - r) for every other v; with m = sum_L c_i q_i + c s,
 *     dz_v = q_v (c_v - m)
 * which is (c - m) q everywhere plus q_i (c_i - c) at the listed tokens.
 */
function totalVariationRows(raw: StaticOps, { probs: p }: SparseTargets, outcomes: Outcomes): RowLoss {
  const { listedQ, modelTail: s, tail: r } = outcomes
  const half = raw.scalar(0.5)
  const difference = raw.sub(listedQ, p)
  const tailDifference = raw.sub(s, r)
  const distance = raw.add(rowSum(raw, raw.map('Abs', difference)), raw.map('Abs', tailDifference))
  const listedSign = raw.mul(raw.map('Sign', difference), half)
  const tailSign = raw.mul(raw.map('Sign', tailDifference), half)
  const mean = raw.add(rowSum(raw, raw.mul(listedSign, listedQ)), raw.mul(tailSign, s))
  return {
    loss: raw.mul(distance, half),
    dense: raw.sub(tailSign, mean),
    sparse: raw.mul(listedQ, raw.sub(listedSign, tailSign)),
  }
}

/** The weighted sum of the rows, on the tape. */
function recorded(
  tape: Tape,
  logits: Tensor,
  { ids, weights: w }: SparseTargets,
  { q }: Outcomes,
  rows: RowLoss,
): Tensor {
  const { raw } = tape
  const weights = raw.reshape(w, [size(logits, 0), 1])
  const loss = raw.reshape(raw.reduce('ReduceSum', raw.mul(rows.loss, weights), [0, 1]), [])
  tape.record([loss], [logits], ([dLoss]) => {
    if (dLoss === undefined) return []
    const scale = raw.mul(weights, dLoss)
    return [raw.scatterAddColumns(raw.mul(q, raw.mul(rows.dense, scale)), ids, raw.mul(rows.sparse, scale))]
  })
  return loss
}

function rowSum(raw: StaticOps, a: Tensor): Tensor {
  return raw.reduce('ReduceSum', a, [1])
}

function safeLog(raw: StaticOps, a: Tensor): Tensor {
  return raw.map('Log', raw.max(a, raw.scalar(smallestProb)))
}
