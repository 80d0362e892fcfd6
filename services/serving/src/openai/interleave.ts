/** A value of one of several sources, and whose it is. */
export interface Pulled<T> {
  readonly index: number
  readonly value: T
}

/**
 * Values of several sources as they come, each source in its own order, and no source ahead by more than one value of what
 * the consumer took. The first failure ends all. `abort` must end what the sources wait for: it is called when the consumer
 * leaves or a source fails, before they are closed.
 */
export async function* interleave<T>(
  sources: readonly AsyncGenerator<T, void>[],
  abort: () => void,
): AsyncGenerator<Pulled<T>, void> {
  const arrived: { readonly index: number; readonly next: Promise<IteratorResult<T, void>> }[] = []
  let wake = Promise.withResolvers<void>()
  const pull = (index: number): void => {
    const next = sources[index]!.next()
    const arrive = (): void => {
      arrived.push({ index, next })
      wake.resolve()
    }
    next.then(arrive, arrive)
  }
  try {
    for (const index of sources.keys()) pull(index)
    for (let open = sources.length; open > 0;) {
      const first = arrived.shift()
      if (first === undefined) {
        await wake.promise
        wake = Promise.withResolvers<void>()
        continue
      }
      const { done, value } = await first.next
      if (done === true) {
        open -= 1
        continue
      }
      yield { index: first.index, value: value as T }
      pull(first.index)
    }
  } finally {
    abort()
    await Promise.allSettled(sources.map((source) => source.return()))
  }
}
