/** Holm's step-down correction: p values that may be held against one level together, in the order given. */
export function holm(p: readonly number[]): number[] {
  const order = p.map((_, i) => i).toSorted((a, b) => p[a]! - p[b]!)
  const corrected = Array.from<number>({ length: p.length })
  let highest = 0
  order.forEach((index, rank) => {
    highest = Math.max(highest, Math.min(1, p[index]! * (p.length - rank)))
    corrected[index] = highest
  })
  return corrected
}
