import { type Judged, meanAlpha, seedMean, seedVariance } from './judged.js'
import { normalDeviate, twoSided } from './student-t.js'

export interface Comparison {
  /** Mean over seeds of the candidate's alpha minus that of the control. */
  readonly difference: number
  readonly standardError: number
  /**
   * How far from no difference: difference / standardError, or, where the standard error itself is known from few seeds,
   * the standard normal deviate that is as unlikely as that ratio is.
   */
  readonly standardErrors: number
  /** Degrees of freedom that the standard error has. */
  readonly freedom: number
  /** Two-sided, of no difference. */
  readonly p: number
}

/**
 * A paired test of two selectors on the same held-out samples. The variance of the difference has three parts:
 * the samples (each sample's two alphas, averaged over seeds, are subtracted first; ratio estimator as in pairedGain),
 * and the seeds of either side, s^2 / seeds. A side with one seed that could have been another borrows the other side's
 * s^2, or, where that has one seed too, that of `spare`, a selector drawn alike. Degrees of freedom by Welch and Satterthwaite. Where neither side's s^2 is known, the error is infinite.
 */
export function compare(candidate: Judged, control: Judged, spare?: Judged): Comparison {
  const means = [seedMean(candidate), seedMean(control)] as const
  const differences = means[0].map((value, i) => value - means[1][i]!)
  const difference = meanAlpha(control.positions, differences)
  const parts = [sampleVariance(control.positions, differences, difference), ...seedParts(candidate, control, spare)]
  const variance = parts.reduce((sum, part) => sum + part.variance, 0)
  const spread = parts.reduce((sum, part) => sum + (part.variance === 0 ? 0 : part.variance ** 2 / part.freedom), 0)
  const freedom = variance ** 2 / spread
  const standardError = Number.isNaN(variance) ? Infinity : Math.sqrt(variance)
  const isKnown = Number.isFinite(standardError) && Number.isFinite(freedom)
  const p = isKnown ? twoSided(difference / standardError, freedom) : 1
  return { difference, standardError, standardErrors: Math.sign(difference) * normalDeviate(p), freedom, p }
}

interface Part {
  readonly variance: number
  readonly freedom: number
}

/** sum (n_i (d_i - d))^2 W / (W - 1) / n^2 over W samples of n_i positions. */
function sampleVariance(positions: readonly number[], differences: readonly number[], mean: number): Part {
  const samples = positions.length
  const total = positions.reduce((sum, n) => sum + n, 0)
  const squares = positions.reduce((sum, n, i) => sum + (n * (differences[i]! - mean)) ** 2, 0)
  return { variance: (squares * samples) / (samples - 1) / total ** 2, freedom: samples - 1 }
}

function seedParts(candidate: Judged, control: Judged, spare?: Judged): Part[] {
  const sides = [candidate, control]
  const known = [...sides, ...(spare ? [spare] : [])].find((side) => !side.exact && side.alpha.length > 1)
  return sides.map((side) => {
    const source = side.exact || side.alpha.length > 1 ? side : (known ?? side)
    return { variance: seedVariance(source) / side.alpha.length, freedom: Math.max(1, source.alpha.length - 1) }
  })
}
