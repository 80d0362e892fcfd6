import type { Random } from '@plateau/speculation'
import { type Judged, meanAlpha } from './judged.js'

export interface Interval {
  readonly low: number
  readonly high: number
}

/** Fewer move the ends of a 95 % interval by more than a twentieth of its width. */
export const replicateCount = 2000

/**
 * Mean alpha of each of `judged` in resampled worlds: [judged][replicate]. A world draws as many held-out samples as
 * there are, with replacement, the same for all, and within it each side's seeds, with replacement. So differences
 * between rows are paired.
 */
export function bootstrap(judged: readonly Judged[], random: Random, replicates = replicateCount): Float64Array[] {
  const rows = judged.map(() => new Float64Array(replicates))
  const positions = judged[0]?.positions ?? []
  const times = new Uint32Array(positions.length)
  for (let replicate = 0; replicate < replicates; replicate++) {
    times.fill(0)
    for (let i = 0; i < positions.length; i++) times[Math.floor(random() * positions.length)]!++
    judged.forEach(({ alpha }, row) => {
      const means = alpha.map((seed) => meanAlpha(positions, seed, times))
      let sum = 0
      for (let i = 0; i < means.length; i++) sum += means[Math.floor(random() * means.length)]!
      rows[row]![replicate] = sum / means.length
    })
  }
  return rows
}

/** The middle 95 % of the values. */
export function interval(values: ArrayLike<number>): Interval {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN
  return { low: at(0.025), high: at(0.975) }
}

export function minus(a: ArrayLike<number>, b: ArrayLike<number>): Float64Array {
  return Float64Array.from(a, (value, i) => value - b[i]!)
}
