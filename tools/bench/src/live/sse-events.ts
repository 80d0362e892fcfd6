/** Server-sent events out of the pieces that a response's body arrives in. */
export class SseEvents {
  #rest = ''

  /** The data of every event that `text` completes, in order. */
  add(text: string): string[] {
    const events = (this.#rest + text).split('\n\n')
    this.#rest = events.pop()!
    return events.flatMap((event) => {
      const data = event.split('\n').find((line) => line.startsWith('data: '))
      return data === undefined ? [] : [data.slice('data: '.length)]
    })
  }
}
