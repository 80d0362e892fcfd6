/**
 * What a position says about the draft, beside what it says about the target: known wherever p and q meet.
 *
 *     g = p - q, m = sum over v of q_v g_v
 *     alpha = sum over v of min(p_v, q_v) = 1 - 1/2 sum over v of |g_v|
 *
 * A step of size eta on KL(p || q) adds eta g to the draft's logits (the gradient of KL by them is q - p), so q_v changes
 * by eta q_v (g_v - m), and alpha, where no p_v equals q_v, by eta times
 *
 *     gain = 1/2 sum over v of sign(g_v) q_v (g_v - m)
 *
 * This is the descent of the total variation 1 - alpha along KL's gradient: with KL's q - p and TV's
 * q_v (s_v - sum over u of q_u s_u) / 2, s = sign(q - p), as in "LK losses" (arXiv 2602.23881), their inner product. It is
 * half the covariance under q of g and its sign, hence never negative, and 0 where the draft is right (g = 0), where it is
 * certain (q a point mass: its logits no longer move q), and where it expects nothing of what the target says.
 * Every term has a factor q_v: only q's own tokens count.
 */
import type { SparseDistribution } from './draft.js'
import { denseOverlap } from './overlap.js'

export interface DraftSignals {
  /** alpha, in [0, 1]. */
  readonly overlap: number
  /** First-order change of alpha by one step on KL(p || q) of the draft's logits, per unit of step size; at least 0. */
  readonly gain: number
  /** H(q), Shannon, in nats. */
  readonly entropy: number
}

/**
 * From q as it was sent, in one pass over its tokens. `pOf` as in `overlap`: undefined counts 0. Where q was cut to its
 * first tokens, what was cut adds nothing to overlap and gain, and counts as one outcome in the entropy, which is then a
 * lower bound of the whole q's.
 */
export function draftSignals(
  pOf: (id: number) => number | undefined,
  { ids, probs }: SparseDistribution,
): DraftSignals {
  // Sums over v of q, min(p, q), q g, q |g|, q sign(g).
  let [mass, overlap, mean, distance, signs, entropy] = [0, 0, 0, 0, 0, 0]
  for (let i = 0; i < ids.length; i++) {
    const q = probs[i]!
    if (q === 0) continue
    const p = pOf(ids[i]!) ?? 0
    const g = p - q
    mass += q
    overlap += Math.min(p, q)
    mean += q * g
    distance += q * Math.abs(g)
    signs += q * Math.sign(g)
    entropy -= q * Math.log(q)
  }
  const cut = 1 - mass
  if (cut > 0) entropy -= cut * Math.log(cut)
  return { overlap, gain: (distance - mean * signs) / 2, entropy }
}

/** The definitions, for two whole-vocabulary vectors. */
export function denseDraftSignals(p: ArrayLike<number>, q: ArrayLike<number>): DraftSignals {
  const over = (term: (p: number, q: number) => number): number =>
    Array.from(p, (x, v) => term(x, q[v]!)).reduce((sum, x) => sum + x, 0)
  const mean = over((x, y) => y * (x - y))
  return {
    overlap: denseOverlap(p, q),
    gain: over((x, y) => Math.sign(x - y) * y * (x - y - mean)) / 2,
    entropy: over((_, y) => (y === 0 ? 0 : -y * Math.log(y))),
  }
}
