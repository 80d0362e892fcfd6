/**
 * Something that happens again and again and can be waited for. Take `next()` before looking at the condition it is
 * about, then no pulse is missed. (Racing one long-lived promise in a loop would keep every loser alive.)
 */
export class Pulse {
  #waiting: PromiseWithResolvers<void> | undefined

  next(): Promise<void> {
    this.#waiting ??= Promise.withResolvers<void>()
    return this.#waiting.promise
  }

  fire(): void {
    this.#waiting?.resolve()
    this.#waiting = undefined
  }
}
