// Weight of a position in the closed form (a ridge regression over every consented window, kept or not):
//
//   inverse-flatness:  w_i = min(WEIGHT_CAP, (1 / f_i) / m)      uniform:  w_i = 1
//
// f_i is the position's flatness and m the mean of 1/f over recent traffic, so that weights are about 1 on average
// whatever the vocabulary, and a window of peaked positions weighs more than a flat one. The cap keeps one sure position
// among very flat traffic from dominating the sums.

export const closedFormWeights = ['inverse-flatness', 'uniform'] as const
export type ClosedFormWeight = (typeof closedFormWeights)[number]

export const WEIGHT_CAP = 8

/** `meanInverseFlatness` is m above. One weight per position, in (0, WEIGHT_CAP]. */
export function weightsOf(rule: ClosedFormWeight, flatness: Float32Array, meanInverseFlatness: number): Float32Array {
  switch (rule) {
    case 'uniform':
      return new Float32Array(flatness.length).fill(1)
    case 'inverse-flatness':
      return flatness.map((f) => Math.min(WEIGHT_CAP, 1 / (f * meanInverseFlatness)))
  }
}

/** Mean of 1/f over one window. */
export function meanInverse(flatness: Float32Array): number {
  let sum = 0
  for (const f of flatness) sum += 1 / f
  return sum / flatness.length
}
