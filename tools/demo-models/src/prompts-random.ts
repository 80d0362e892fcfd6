/** A small repeatable generator (mulberry32): the prompts must be the same wherever they are drawn. */
export function seededRandom(seed: number): {
  /** A copy in random order. */
  readonly order: <T>(items: readonly T[]) => T[]
  /** A whole number from 0 up to, not including, `limit`. */
  readonly below: (limit: number) => number
} {
  let state = seed | 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  const order = <T>(items: readonly T[]): T[] => {
    const out = [...items]
    for (let last = out.length - 1; last > 0; last--) {
      const other = below(last + 1)
      ;[out[last], out[other]] = [out[other]!, out[last]!]
    }
    return out
  }
  return { order, below }
}
