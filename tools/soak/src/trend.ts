/**
 * The slope of a series by least squares, with a 95 % interval. Samples a few seconds apart resemble each other, so the
 * interval counts them as fewer: n (1 - r) / (1 + r), where r is the correlation of a residual with the one before
 * (effective sample size of a first-order autoregression).
 */
export interface Trend {
  /** Units of y per unit of x. */
  readonly slope: number
  readonly low: number
  readonly high: number
}

const NORMAL_95 = 1.96
/** Fewer say nothing about a slope. */
export const LEAST_SAMPLES = 20

/** Undefined for fewer than `LEAST_SAMPLES` points, or where all x are the same. */
export function trendOf(points: readonly (readonly [x: number, y: number])[]): Trend | undefined {
  const n = points.length
  if (n < LEAST_SAMPLES) return undefined
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  if (spread === 0) return undefined
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread
  const residuals = points.map(([x, y]) => y - meanY - slope * (x - meanX))
  const squares = residuals.reduce((sum, r) => sum + r * r, 0)
  const lagged = residuals.slice(1).reduce((sum, r, i) => sum + r * residuals[i]!, 0)
  const correlation = squares === 0 ? 0 : Math.min(0.99, Math.max(0, lagged / squares))
  const inflation = (1 + correlation) / (1 - correlation)
  const half = NORMAL_95 * Math.sqrt((squares / (n - 2) / spread) * inflation)
  return { slope, low: slope - half, high: slope + half }
}
