import type { SparseDistribution } from './draft.js'

/**
 * alpha of one position: the sum over v of min(p_v, q_v), which is the probability that a token drawn from q is
 * accepted. `pOf` gives the probability of a token; tokens that q does not list add nothing, so it is asked only for
 * q's. Where pOf answers undefined (p of that token was not computed) the token counts 0: the sum is then a lower bound.
 */
export function overlap(pOf: (id: number) => number | undefined, q: SparseDistribution): number {
  let alpha = 0
  for (let i = 0; i < q.ids.length; i++) alpha += Math.min(pOf(q.ids[i]!) ?? 0, q.probs[i]!)
  return alpha
}

/** The definition, for two whole-vocabulary vectors. */
export function denseOverlap(p: ArrayLike<number>, q: ArrayLike<number>): number {
  let alpha = 0
  for (let v = 0; v < p.length; v++) alpha += Math.min(p[v]!, q[v]!)
  return alpha
}
