export interface Calibrated {
  readonly at: number
  readonly value: number
}

const MOST_TRIES = 12

/**
 * Where a falling function takes a wanted value within the tolerance, by bisection between 0 and `most`, or as near as a
 * dozen tries come. Where it stays above the value everywhere: at `most`.
 */
export async function calibrate(
  measure: (at: number) => Promise<number>,
  { wanted, tolerance, most }: { readonly wanted: number; readonly tolerance: number; readonly most: number },
): Promise<Calibrated> {
  let [low, high] = [0, most]
  let found: Calibrated = { at: most, value: await measure(most) }
  if (found.value > wanted) return found
  for (let tries = 0; tries < MOST_TRIES && Math.abs(found.value - wanted) > tolerance; tries++) {
    const at = (low + high) / 2
    found = { at, value: await measure(at) }
    if (found.value > wanted) low = at
    else high = at
  }
  return found
}
