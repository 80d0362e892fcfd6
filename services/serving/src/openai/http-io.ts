import { PlateauError } from '@plateau/contracts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { badRequest, cancelled } from '../request-errors.js'

export interface BodyLimits {
  readonly maxBytes: number
  /** For the whole body: a client that sends a byte now and then holds nothing up. */
  readonly timeoutMs: number
}

/** The request's body as JSON. Throws BODY_TOO_LARGE, REQUEST_TIMEOUT, INVALID_ARGUMENT. */
export async function readJson(request: IncomingMessage, limits: BodyLimits): Promise<unknown> {
  const body = await readBody(request, limits)
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    // The parser's own message quotes the body.
    throw badRequest('body', 'the request body is not valid JSON')
  }
}

/** Leaves the connection alone, whatever happens: the answer still has to go out on it. */
function readBody(request: IncomingMessage, { maxBytes, timeoutMs }: BodyLimits): Promise<Buffer> {
  const body = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  let size = 0
  const take = (chunk: Buffer): void => {
    size += chunk.length
    if (size > maxBytes) return refuse('BODY_TOO_LARGE', `the request body is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  const refuse = (code: string, message: string): void => {
    // What still comes is read and forgotten until the connection is closed.
    request.off('data', take).resume()
    body.reject(new PlateauError(code, message, { facts: { maxBytes, timeoutMs } }))
  }
  const late = (): void => refuse('REQUEST_TIMEOUT', `the request body did not arrive within ${timeoutMs / 1000} s`)
  const timer = setTimeout(late, timeoutMs)
  request
    .on('data', take)
    .once('end', () => body.resolve(Buffer.concat(chunks)))
    .once('error', () => body.reject(cancelled()))
    .once('close', () => body.reject(cancelled()))
  return body.promise.finally(() => clearTimeout(timer))
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers,
  })
  response.end(text)
}

/**
 * Server-sent events with backpressure: `send` waits while the client does not read, and cuts the connection when it has not
 * for `stallMs`: it holds a place that others wait for.
 */
export class EventStream {
  readonly #response: ServerResponse
  readonly #stallMs: number

  constructor(response: ServerResponse, stallMs: number) {
    this.#response = response
    this.#stallMs = stallMs
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    })
  }

  send(body: object): Promise<void> {
    return this.#write(`data: ${JSON.stringify(body)}\n\n`)
  }

  /** OpenAI's end mark: the response is complete. */
  async complete(): Promise<void> {
    await this.#write('data: [DONE]\n\n')
    this.#response.end()
  }

  /** The response broke off; there is no end mark. */
  async fail(body: object): Promise<void> {
    await this.send(body)
    this.#response.end()
  }

  async #write(text: string): Promise<void> {
    if (this.#response.destroyed) throw cancelled()
    if (this.#response.write(text)) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#response.destroy(), this.#stallMs)
      const done = (): void => {
        clearTimeout(timer)
        this.#response.off('drain', done)
        this.#response.off('close', done)
        resolve()
      }
      this.#response.on('drain', done)
      this.#response.on('close', done)
    })
  }
}

/** Aborted when the client goes away before the response is complete. */
export function clientSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  response.on('close', () => {
    if (!response.writableFinished) gone.abort()
  })
  return gone.signal
}
