/** P(|t| >= |value|) of Student's distribution with `freedom` degrees of freedom (not necessarily whole); 1 of NaN. */
export function twoSided(value: number, freedom: number): number {
  if (Number.isNaN(value)) return 1
  return incompleteBeta(freedom / (freedom + value * value), freedom / 2, 0.5)
}

/** The value that |t| exceeds with probability `level`; by bisection, to 1e-9. */
export function criticalValue(level: number, freedom: number): number {
  let [low, high] = [0, 1]
  while (twoSided(high, freedom) > level) high *= 2
  while (high - low > 1e-9) {
    const middle = (low + high) / 2
    if (twoSided(middle, freedom) > level) low = middle
    else high = middle
  }
  return high
}

/** The standard normal value that is exceeded on either side with probability p together. */
export function normalDeviate(p: number): number {
  return p < 1 ? criticalValue(p, NORMAL) : 0
}

/** Degrees of freedom from which the distribution is normal to five digits. */
const NORMAL = 1e6

/** Terms of the continued fraction: it converges within about sqrt(max(a, b)) of them on the side that is computed. */
const TERMS = 200

/** I_x(a, b), by its continued fraction 1 / (1 + d1 / (1 + d2 / (1 + ...))) (DLMF 8.17.22), from its end. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0 || x >= 1) return Math.min(1, Math.max(0, x))
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a)
  const logBeta = logGamma(a) + logGamma(b) - logGamma(a + b)
  let fraction = 1
  for (let k = TERMS; k > 0; k--) {
    const m = k >> 1
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    fraction = 1 + (k % 2 === 0 ? even : odd) / fraction
  }
  return Math.exp(a * Math.log(x) + b * Math.log1p(-x) - logBeta) / (a * fraction)
}

/** Stirling's series (DLMF 5.11.1) from 10 on, below it by the recurrence. */
function logGamma(x: number): number {
  if (x < 10) return logGamma(x + 1) - Math.log(x)
  const series = 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5)
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series
}
