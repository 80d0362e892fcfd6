import { unavailable } from './request-errors.js'

/** The answer, or UNAVAILABLE when it takes longer than `stallMs`: the target is connected and says nothing. */
export async function withinStall<T>(answer: Promise<T>, stallMs: number): Promise<T> {
  const silence = Promise.withResolvers<never>()
  const giveUp = (): void => silence.reject(unavailable(`the target has said nothing for ${stallMs / 1000} s`))
  const timer = setTimeout(giveUp, stallMs)
  try {
    return await Promise.race([answer, silence.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Messages of a call that is ended, by aborting `call`, when there is none for `stallMs`, and when the loop is left. */
export async function* withoutStalls<T>(
  messages: AsyncGenerator<T, void>,
  stallMs: number,
  call: AbortController,
): AsyncGenerator<T, void> {
  let isOver = false
  try {
    for (;;) {
      const next = await withinStall(messages.next(), stallMs)
      isOver = next.done === true
      if (next.done === true) return
      yield next.value
    }
  } finally {
    // Not `messages.return()`: it would wait for the message that does not come.
    if (!isOver) call.abort()
  }
}
