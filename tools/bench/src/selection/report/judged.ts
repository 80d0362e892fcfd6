/** The drafts that one selector trained, on the same held-out samples: what intervals and tests are made of. */
export interface Judged {
  /** Held-out positions of each sample. */
  readonly positions: readonly number[]
  /** [seed][sample], mean alpha of each sample. */
  readonly alpha: readonly (readonly number[])[]
  /** Nothing in the selection or training was drawn, so that one seed tells all of them. */
  readonly exact: boolean
}

/** Of one seed, or of sample values: the mean over positions, samples counting `times` as often. */
export function meanAlpha(positions: readonly number[], alpha: readonly number[], times?: ArrayLike<number>): number {
  let [sum, count] = [0, 0]
  for (let i = 0; i < positions.length; i++) {
    const weight = positions[i]! * (times?.[i] ?? 1)
    sum += weight * alpha[i]!
    count += weight
  }
  return sum / count
}

/** Mean over seeds of each sample's alpha. */
export function seedMean(judged: Judged): number[] {
  const seeds = judged.alpha.length
  return judged.positions.map((_, i) => judged.alpha.reduce((sum, seed) => sum + seed[i]!, 0) / seeds)
}

/** Variance of a seed's mean alpha around that of all seeds; NaN where it is not known. */
export function seedVariance(judged: Judged): number {
  if (judged.exact) return 0
  const means = judged.alpha.map((seed) => meanAlpha(judged.positions, seed))
  const mean = means.reduce((sum, value) => sum + value, 0) / means.length
  return means.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (means.length - 1)
}
