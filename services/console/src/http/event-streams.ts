import type { IncomingMessage, ServerResponse } from 'node:http'

const MAX_STREAMS = 64
/** Changes that come within it are said once. */
const GATHER_MS = 500
/** Keeps proxies from closing a stream on which nothing happens. */
const PING_MS = 15_000
/** How long a browser waits before it comes again. */
const RETRY_MS = 3_000

/**
 * Tells browsers that something has changed: one number, which they may forget; no content. A browser that comes back names the
 * number that it knows and hears at once if there is another one. A slow one gets the newest number when it reads again.
 */
export class EventStreams {
  readonly #id: () => string
  readonly #streams = new Set<Stream>()
  #gathering: NodeJS.Timeout | undefined
  #pinging: NodeJS.Timeout | undefined

  /** `id` names the state as it is now; another run of the process must not use the same names. */
  constructor(id: () => string) {
    this.#id = id
  }

  get size(): number {
    return this.#streams.size
  }

  /** False when there are too many. */
  open(request: IncomingMessage, response: ServerResponse): boolean {
    if (this.#streams.size >= MAX_STREAMS) return false
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' })
    response.write(`retry: ${RETRY_MS}\n\n`)
    const stream: Stream = { response, toldId: String(request.headers['last-event-id'] ?? ''), isFull: false }
    this.#streams.add(stream)
    this.#pinging ??= setInterval(() => this.#ping(), PING_MS)
    response.on('drain', () => {
      stream.isFull = false
      this.#tell(stream)
    })
    response.on('close', () => this.#forget(stream))
    this.#tell(stream)
    return true
  }

  changed(): void {
    if (this.#streams.size === 0) return
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined
      for (const stream of this.#streams) this.#tell(stream)
    }, GATHER_MS)
  }

  close(): void {
    clearTimeout(this.#gathering)
    clearInterval(this.#pinging)
    for (const { response } of this.#streams) response.end()
    this.#streams.clear()
  }

  #tell(stream: Stream): void {
    const id = this.#id()
    if (stream.isFull || stream.toldId === id) return
    stream.toldId = id
    stream.isFull = !stream.response.write(`id: ${id}\nevent: change\ndata: ${id}\n\n`)
  }

  #ping(): void {
    for (const stream of this.#streams) {
      if (!stream.isFull) stream.isFull = !stream.response.write(': still here\n\n')
    }
  }

  #forget(stream: Stream): void {
    this.#streams.delete(stream)
    if (this.#streams.size > 0) return
    clearInterval(this.#pinging)
    this.#pinging = undefined
  }
}

interface Stream {
  readonly response: ServerResponse
  toldId: string
  /** Has not taken what was written last. */
  isFull: boolean
}
