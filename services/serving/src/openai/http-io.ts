import { PlateauError } from '@plateau/contracts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { badRequest, cancelled } from '../request-errors.js'

/** The request's body as JSON. Reads no more than `maxBytes`. */
export async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) {
      throw new PlateauError('BODY_TOO_LARGE', `the request body is larger than ${maxBytes} bytes`, {
        facts: { maxBytes },
      })
    }
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    // The parser's own message quotes the body.
    throw badRequest('body', 'the request body is not valid JSON')
  }
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

/** Server-sent events with backpressure: `send` waits while the client does not read. */
export class EventStream {
  readonly #response: ServerResponse

  constructor(response: ServerResponse) {
    this.#response = response
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
      const done = (): void => {
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
