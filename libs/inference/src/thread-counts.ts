/** 1, 2, 4 .. and the most itself. */
export function threadCounts(most: number): number[] {
  const counts: number[] = []
  for (let count = 1; count < most; count *= 2) counts.push(count)
  return [...counts, Math.max(1, most)]
}
