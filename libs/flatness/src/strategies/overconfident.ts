import { byPosition } from './by-position.js'

/**
 * How sure the draft has to be of the wrong tokens, in [0, 1]. At least this asks for alpha below a quarter and for an
 * entropy of q below a quarter of log V.
 */
export const OVERCONFIDENT = 0.75

/**
 * The flattest first, but positions at which the draft is sure of what the target does not want come before all, whatever
 * their flatness (the quadrant that TIP, arXiv 2604.14084, finds most valuable; it measures divergence by KL, here it is
 * the bounded 1 - alpha): those with (1 - alpha) (1 - H(q) / log V) >= OVERCONFIDENT score 1 and that number, above any flatness.
 * Where no draft proposed a position counts by its flatness. A window counts by the mean: one such position lifts it, and
 * does not decide alone.
 */
export const overconfident = byPosition('overconfident', ({ flatness, draftOverlap, draftEntropy, vocabSize }) =>
  flatness.map((f, i) => {
    const wrong = (1 - (draftOverlap[i] ?? Number.NaN)) * (1 - (draftEntropy[i] ?? Number.NaN) / Math.log(vocabSize))
    return wrong >= OVERCONFIDENT ? 1 + wrong : f
  }),
)
