import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { clientSignal, EventStream, readJson } from './http-io.js'

let server: Server
let socket: Socket | undefined
let handle: (request: IncomingMessage, response: ServerResponse) => void

beforeEach(async () => {
  server = createServer((request, response) => handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(() => {
  socket?.destroy()
  server.closeAllConnections()
  server.close()
})

/** What `body` resolves or fails with for a request whose first bytes are `text`. */
function serve<T>(text: string, body: (request: IncomingMessage, response: ServerResponse) => Promise<T>): Promise<T> {
  const outcome = Promise.withResolvers<T>()
  handle = (request, response) => void body(request, response).then(outcome.resolve, outcome.reject)
  socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  // Paused: it reads nothing unless it is told to.
  socket.on('error', () => {}).pause()
  socket.write(text)
  return outcome.promise
}

const HOUR_MS = 3_600_000
const head = (length: number) => `POST / HTTP/1.1\r\nHost: test\r\nContent-Length: ${length}\r\n\r\n`
const read = (limits: { maxBytes: number; timeoutMs: number }) => (request: IncomingMessage) =>
  readJson(request, limits)

describe('a body', () => {
  it('is read as JSON', async () => {
    expect(await serve(`${head(7)}{"a":1}`, read({ maxBytes: 7, timeoutMs: HOUR_MS }))).toEqual({ a: 1 })
  })

  it.each<[string, string, { maxBytes: number; timeoutMs: number }, string]>([
    ['that is too large', `${head(100)}{"a":1}x`, { maxBytes: 7, timeoutMs: HOUR_MS }, 'BODY_TOO_LARGE'],
    ['that does not come', `${head(100)}{"a":1}`, { maxBytes: 1000, timeoutMs: 1 }, 'REQUEST_TIMEOUT'],
    ['that is no JSON', `${head(3)}{"a`, { maxBytes: 1000, timeoutMs: HOUR_MS }, 'INVALID_ARGUMENT'],
  ])('%s is refused, and the connection can still be answered on', async (_, text, limits, code) => {
    let open = false
    const refused = serve(text, async (request, response) => {
      try {
        return await readJson(request, limits)
      } finally {
        open = response.writable && !request.socket.destroyed
      }
    })
    await expect(refused).rejects.toMatchObject({ code })
    expect(open).toBe(true)
  })

  it('whose client goes away is nobody’s any more', async () => {
    const gone = serve(head(100), read({ maxBytes: 1000, timeoutMs: HOUR_MS }))
    socket!.once('connect', () => setTimeout(() => socket!.destroy(), 20))
    await expect(gone).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

it('a client that takes nothing of its stream is cut off, and its response ends', async () => {
  const sent = serve(head(0), async (_, response) => {
    const signal = clientSignal(response)
    const events = new EventStream(response, 1)
    const text = 'x'.repeat(1_000_000)
    while (!signal.aborted) await events.send({ text })
    return signal.aborted
  })
  expect(await sent).toBe(true)
})
