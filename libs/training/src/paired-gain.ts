export interface PairedGain {
  /** Mean over positions of candidate minus incumbent. */
  readonly gain: number
  /** Of the gain; windows, not positions, count as independent. Infinite for a single window. */
  readonly standardError: number
}

/**
 * How much better a candidate is on the same positions. With d_w the sum of differences of window w, n_w its positions,
 * n all positions and g the gain, the standard error is sqrt(sum (d_w - n_w g)^2 W / (W - 1)) / n over W windows:
 * neighbouring positions are alike, so treating each as a draw of its own would promise too much.
 */
export function pairedGain(
  candidate: ArrayLike<number>,
  incumbent: ArrayLike<number>,
  windowLengths: readonly number[],
): PairedGain {
  const n = windowLengths.reduce((sum, length) => sum + length, 0)
  if (candidate.length !== n || incumbent.length !== n) {
    throw new RangeError(`${candidate.length} and ${incumbent.length} scores do not fit windows of ${n} positions`)
  }
  const differences = Float64Array.from(candidate, (alpha, i) => alpha - incumbent[i]!)
  return gainOfWindows(windowSums(differences, windowLengths), windowLengths)
}

/** The same of d_w and n_w. */
export function gainOfWindows(differences: readonly number[], windowLengths: readonly number[]): PairedGain {
  const windows = windowLengths.length
  const n = windowLengths.reduce((sum, length) => sum + length, 0)
  const gain = differences.reduce((sum, difference) => sum + difference, 0) / n
  const squares = differences.reduce((sum, difference, w) => sum + (difference - windowLengths[w]! * gain) ** 2, 0)
  return { gain, standardError: Math.sqrt((squares * windows) / (windows - 1)) / n || Infinity }
}

/** Of each window the sum over its positions. */
export function windowSums(scores: ArrayLike<number>, windowLengths: readonly number[]): number[] {
  let at = 0
  return windowLengths.map((length) => {
    let sum = 0
    for (const end = at + length; at < end; at++) sum += scores[at]!
    return sum
  })
}
