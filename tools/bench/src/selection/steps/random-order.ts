/** Endless: all of `items` in random order, then all in another. `random` is uniform in [0, 1). */
export function* randomOrder<T>(items: readonly T[], random: () => number): Generator<T, never, undefined> {
  if (items.length === 0) throw new RangeError('there is nothing to train on')
  for (;;) {
    const left = [...items]
    while (left.length > 0) {
      const at = Math.floor(random() * left.length)
      yield left[at]!
      left[at] = left.at(-1)!
      left.pop()
    }
  }
}
