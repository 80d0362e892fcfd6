/** Factors of the peak learning rate, in [0, 1]. Multiply those that apply. */

/** Rises from just above 0 to 1 over the first `steps` steps; `step` counts from 0. */
export function linearWarmUp(step: number, steps: number): number {
  return steps <= 0 ? 1 : Math.min(1, (step + 1) / steps)
}

/** Half a cosine, from 1 at `progress` 0 to `floor` at 1. Progress is of steps or of time. */
export function cosineDecay(progress: number, floor = 0): number {
  const clamped = Math.min(1, Math.max(0, progress))
  return floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * clamped))
}
