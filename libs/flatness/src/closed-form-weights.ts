import { binsOf, type BinWeights } from './bin-weights.js'
import type { WindowStatistics } from './strategies/strategy.js'

// Weight of a position in the closed form (a ridge regression over every consented window, kept or not):
//
//   inverse-flatness:  w_i = min(WEIGHT_CAP, (1 / f_i) / m)      uniform:  w_i = 1
//   binned:            w_i = min(WEIGHT_CAP, weight of i's bin)
//
// f_i is the position's flatness and m the mean of 1/f over recent traffic, so that weights are about 1 on average
// whatever the vocabulary, and a window of peaked positions weighs more than a flat one. The cap keeps one sure position
// among very flat traffic, or one bin that was learned from little, from dominating the sums.

/** Those that need no learned weights. */
export const closedFormWeights = ['inverse-flatness', 'uniform'] as const
/** binned: as a policy's bin weights say. */
export type ClosedFormWeight = (typeof closedFormWeights)[number] | 'binned'

export const WEIGHT_CAP = 8

/** `meanInverseFlatness` is m above. One weight per position, in (0, WEIGHT_CAP]. */
export function weightsOf(
  rule: (typeof closedFormWeights)[number],
  flatness: Float32Array,
  meanInverseFlatness: number,
): Float32Array {
  switch (rule) {
    case 'uniform':
      return new Float32Array(flatness.length).fill(1)
    case 'inverse-flatness':
      return flatness.map((f) => Math.min(WEIGHT_CAP, 1 / (f * meanInverseFlatness)))
  }
}

/** One weight per position, in [0, WEIGHT_CAP]. */
export function binnedWeights(bins: BinWeights, window: WindowStatistics): Float32Array {
  return Float32Array.from(binsOf(bins, window), (bin) => Math.min(WEIGHT_CAP, bins.weights[bin]!))
}

/** Mean of 1/f over one window. */
export function meanInverse(flatness: Float32Array): number {
  let sum = 0
  for (const f of flatness) sum += 1 / f
  return sum / flatness.length
}
