import { setTimeout as sleep } from 'node:timers/promises'

/** The items of `source`, and undefined whenever none came for `everyMs`. Ends the source when it is left. */
export async function* ticking<T>(source: AsyncIterable<T>, everyMs: number): AsyncGenerator<T | undefined, void> {
  const iterator = source[Symbol.asyncIterator]()
  try {
    let next = iterator.next()
    for (;;) {
      const timer = new AbortController()
      const tick = sleep(everyMs, undefined, { signal: timer.signal }).catch(() => undefined)
      const first = await Promise.race([next, tick])
      timer.abort()
      if (first === undefined) yield undefined
      else if (first.done) return
      else {
        yield first.value
        next = iterator.next()
      }
    }
  } finally {
    await iterator.return?.()
  }
}
