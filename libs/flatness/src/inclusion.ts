// Poisson sampling. What ranks above a share r of everything is drawn, for itself, with probability
//
//   pi(r) = keep (1 + s (2 r - 1)),   s = min(3/4, 1/keep - 1)
//
// and counts 1/pi when it is. r is uniform in [0, 1), so the expected share is keep; pi rises with the score; and since
// the draw knows nothing of the score, what anything counts expects to be 1, however wrong r may be: sums over what is
// kept expect to be the sums over everything. s keeps pi within [keep/4, 1], so nothing counts more than 4/keep, four
// times what it would where everything were equal. Cutting weights off instead would bias the sums.

const STEEPEST = 0.75

/** `above`: the share of everything that it ranks above, in [0, 1]. The result is in [keep/4, 1]. */
export function inclusionProbability(keep: number, above: number): number {
  const slope = Math.min(STEEPEST, 1 / keep - 1)
  return keep * (1 + slope * (2 * above - 1))
}
