import type { Strategy, WindowStatistics } from './strategy.js'

/** The mean of fewer known positions says more of chance than of the window: probes while speculation is off, say. */
export const LEAST_KNOWN = 8

/**
 * A strategy that ranks positions, and a window by their mean. Positions with nothing to rank by are left out of it; where
 * fewer than LEAST_KNOWN are left, or than half of a shorter window, there is nothing to rank the window by.
 */
export function byPosition(name: string, positions: (window: WindowStatistics) => Float32Array): Strategy {
  return { name, filters: true, positions, score: (window) => meanOfKnown(positions(window), LEAST_KNOWN) }
}

/** [n] of NaN: nothing is known of any position. */
export function nothingKnown(window: WindowStatistics): Float32Array {
  return new Float32Array(window.flatness.length).fill(Number.NaN)
}

/** [n]: `values`, a signal of the draft, seen through `rank`; NaN everywhere where the window has none. */
export function whereDrafted(
  window: WindowStatistics,
  values: Float32Array,
  rank: (value: number, i: number) => number,
): Float32Array {
  return values.length === 0 ? nothingKnown(window) : values.map(rank)
}

/** Arithmetic mean, in double precision, of the numbers that are not NaN; NaN where too few are not. */
function meanOfKnown(values: Float32Array, least: number): number {
  let sum = 0
  let known = 0
  for (const value of values) {
    if (Number.isNaN(value)) continue
    sum += value
    known++
  }
  return known === 0 || known < Math.min(least, values.length / 2) ? Number.NaN : sum / known
}
