/** What an empty bin counts as, as a share: the logarithm of 0 would make one value outweigh everything. */
const LEAST_SHARE = 1e-3

/**
 * The population stability index of two histograms over the same bins, in counts of any scale:
 *
 *   PSI = sum over bins of (r_i - e_i) log(r_i / e_i)      e: shares of the reference, r: of the recent
 *
 * which is KL(r, e) + KL(e, r), 0 or more. As usually read: below .1 nothing happened, above .25 the population is another
 * (Siddiqi 2006, "Credit Risk Scorecards"). 0 where one of the two is empty: there is nothing to compare.
 */
export function populationStability(reference: ArrayLike<number>, recent: ArrayLike<number>): number {
  if (reference.length !== recent.length) {
    throw new RangeError(`histograms of ${reference.length} and ${recent.length} bins cannot be compared`)
  }
  const [total, recentTotal] = [sumOf(reference), sumOf(recent)]
  if (total === 0 || recentTotal === 0) return 0
  let index = 0
  for (let i = 0; i < reference.length; i++) {
    const expected = Math.max(LEAST_SHARE, reference[i]! / total)
    const found = Math.max(LEAST_SHARE, recent[i]! / recentTotal)
    index += (found - expected) * Math.log(found / expected)
  }
  return index
}

function sumOf(counts: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < counts.length; i++) sum += counts[i]!
  return sum
}
