// Flatness when only the k most probable tokens are known. With S = sum of the listed squares, r = probability of all the
// others together (the tail) and p_k = the smallest listed probability:
//
//   S + r^2 / (V - k)  <=  sum p^2  <=  S + r * min(p_k, r)
//
// The left end is a tail spread evenly over its V - k tokens (Cauchy-Schwarz); the right end uses that no tail token is
// more probable than p_k, nor than the tail itself. Flatness falls as sum p^2 grows, so the ends swap.
//
// The numbers arrive rounded to a storage format. Each bound is moved outward by what that rounding may have hidden, so
// that the interval contains the flatness of the distribution as it was before it was stored.

/** How far a stored number may lie from the number that was stored: the larger of the two bounds holds. */
export interface Rounding {
  /** Share of the stored number. */
  readonly relative: number
  readonly absolute: number
}

/** Half a unit in the last place, and half of the smallest subnormal; fp16 was fp32 before, hence its second term. */
export const rounding = {
  none: { relative: 0, absolute: 0 },
  fp32: { relative: 2 ** -24, absolute: 2 ** -150 },
  fp16: { relative: 2 ** -11 + 2 ** -23, absolute: 2 ** -25 + 2 ** -48 },
} as const satisfies Record<string, Rounding>

/** A tail is computed as 1 minus a sum of fp32 probabilities: it can be wrong by this much, whatever its size. */
export const TAIL_ERROR = 2 ** -20

/** What is known of one distribution. */
export interface ListedDistribution {
  /** Most probable first; only [start, start + k) belongs to this distribution. */
  readonly probabilities: ArrayLike<number>
  readonly start: number
  readonly k: number
  readonly tailMass: number
  readonly vocabSize: number
  readonly rounding: Rounding
  /** Default TAIL_ERROR. */
  readonly tailError?: number
}

export interface Interval {
  readonly low: number
  readonly high: number
}

/** Contains the exact flatness, always. Ends are doubles in [1/sqrt(V), 1]. */
export function flatnessInterval(known: ListedDistribution): Interval {
  const squares = sumSquaresInterval(known)
  return { low: 1 / Math.sqrt(known.vocabSize * squares.high), high: 1 / Math.sqrt(known.vocabSize * squares.low) }
}

function sumSquaresInterval(known: ListedDistribution): Interval {
  const { probabilities, start, k, vocabSize } = known
  const { relative, absolute } = known.rounding
  let low = 0
  let high = 0
  let smallest = 1
  for (let i = start; i < start + k; i++) {
    const p = probabilities[i]!
    const error = Math.max(p * relative, absolute)
    const least = Math.max(0, p - error)
    smallest = Math.min(smallest, p + error)
    low += least * least
    high += (p + error) * (p + error)
  }
  if (k < vocabSize) {
    const error = known.tailError ?? TAIL_ERROR
    const leastTail = Math.max(0, known.tailMass - error)
    const mostTail = Math.min(1, known.tailMass + error)
    low += (leastTail * leastTail) / (vocabSize - k)
    high += mostTail * Math.min(smallest, mostTail)
  }
  // Outward once more, for this loop's own double rounding.
  return { low: clamp(low * (1 - 1e-12), vocabSize), high: clamp(high * (1 + 1e-12), vocabSize) }
}

function clamp(sumSquares: number, vocabSize: number): number {
  return Math.min(1, Math.max(1 / vocabSize, sumSquares))
}
