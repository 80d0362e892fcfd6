/** A way in which the log weights of bins can move: one number per bin. */
export type BinDirection = readonly number[]

/** A bin with less of the mass is not moved on its own: nothing held out would tell. */
const LEAST_SHARE = 0.02
/** How far one step moves a single bin. */
const BIN_STEP = 0.7
/** Standard deviation over the mass of a step that moves all bins. */
const CURVE_STEP = 0.5

/**
 * Directions that the weights of bins are looked for in, the most telling first: in every dimension a slope x and a
 * curvature x^2 - mean, where x is the bin's rank by mass in that dimension; then every bin on its own, heaviest first.
 * `coordinates`: per bin its place in each dimension; NaN: it has none there, and stays. `mass`: per bin.
 */
export function binDirections(coordinates: readonly (readonly number[])[], mass: readonly number[]): BinDirection[] {
  const dimensions = coordinates[0]?.length ?? 0
  const ranks = Array.from({ length: dimensions }, (_, d) =>
    ranksOf(
      coordinates.map((place) => place[d]!),
      mass,
    ),
  )
  const curves = [...ranks, ...ranks.map((rank) => rank.map((x) => x * x))]
  const total = mass.reduce((sum, m) => sum + m, 0)
  const single = mass
    .map((m, bin) => ({ share: m / total, bin }))
    .filter(({ share }) => share >= LEAST_SHARE)
    .toSorted((a, b) => b.share - a.share)
    .map(({ bin }) => mass.map((_, b) => (b === bin ? BIN_STEP : 0)))
  return [...curves.flatMap((curve) => scaled(curve, mass)), ...single]
}

/** In (-1, 1): where the middle of the bin's value lies among all mass that has a value; 0 for bins that have none. */
function ranksOf(values: readonly number[], mass: readonly number[]): number[] {
  const known = values.map((value, bin) => ({ value, mass: mass[bin]! })).filter(({ value }) => !Number.isNaN(value))
  const total = known.reduce((sum, one) => sum + one.mass, 0)
  const massWhere = (holds: (value: number) => boolean): number =>
    known.reduce((sum, one) => sum + (holds(one.value) ? one.mass : 0), 0)
  return values.map((value) => {
    if (Number.isNaN(value) || total === 0) return 0
    return (2 * massWhere((other) => other < value) + massWhere((other) => other === value)) / total - 1
  })
}

/** Mean 0 and standard deviation CURVE_STEP over the mass; nothing where the curve is flat. */
function scaled(curve: readonly number[], mass: readonly number[]): BinDirection[] {
  const mean = massMean(curve, mass)
  const deviation = Math.sqrt(
    massMean(
      curve.map((x) => (x - mean) ** 2),
      mass,
    ),
  )
  return deviation > 1e-6 ? [curve.map((x) => (CURVE_STEP * (x - mean)) / deviation)] : []
}

export function massMean(values: readonly number[], mass: readonly number[]): number {
  const total = mass.reduce((sum, m) => sum + m, 0)
  return values.reduce((sum, value, bin) => sum + value * mass[bin]!, 0) / total
}
