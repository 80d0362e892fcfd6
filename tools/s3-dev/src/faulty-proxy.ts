import { createServer, request as forward, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What happens to one request on its way to the server. */
export type Fault =
  /** Nothing is ever answered. */
  | { readonly kind: 'silence' }
  /** It arrives and is carried out; the connection ends before the answer. */
  | { readonly kind: 'answer lost' }
  /** The connection ends, after so many bytes of the answer's body or at once. */
  | { readonly kind: 'cut'; readonly afterBytes?: number }
  /** The server does not see it: an error, or success that nobody made sure of. */
  | { readonly kind: 'answer'; readonly status: number; readonly code?: string }
  | { readonly kind: 'delay'; readonly ms: number }
  /** The first byte of the answer's body is another one. */
  | { readonly kind: 'flip' }

export interface FaultyProxy {
  readonly endpoint: string
  /** Asked for every request; undefined: it passes. */
  fault: (request: IncomingMessage) => Fault | undefined
  /** "PUT /bucket/key" of all requests so far. */
  readonly seen: string[]
  close(): Promise<void>
}

/** Stands between a client and a server on loopback (http), and does to requests what a test asks for. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const { hostname, port } = new URL(target)
  const server = createServer((request, response) => {
    proxy.seen.push(`${request.method} ${request.url?.split('?')[0]}`)
    const fault = proxy.fault(request)
    if (fault?.kind === 'silence') return
    if (fault?.kind === 'cut' && fault.afterBytes === undefined) return void request.socket.destroy()
    if (fault?.kind === 'answer') {
      request.resume()
      const { status, code } = fault
      const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>induced</Message></Error>`
      return void response.writeHead(status, { 'content-type': 'application/xml' }).end(code === undefined ? '' : body)
    }
    const { headers, method, url: path } = request
    const pass = (): void => {
      const onward = forward({ hostname, port, method, path, headers }, (answer) => {
        if (fault?.kind === 'answer lost') {
          answer.resume()
          return void answer.on('end', () => request.socket.destroy())
        }
        response.writeHead(answer.statusCode!, answer.headers)
        let passed = 0
        answer.on('data', (chunk: Buffer) => {
          if (fault?.kind === 'flip' && passed === 0) chunk[0]! ^= 1
          passed += chunk.length
          if (fault?.kind === 'cut' && passed >= fault.afterBytes!) {
            response.write(chunk.subarray(0, Math.max(0, fault.afterBytes! - (passed - chunk.length))))
            return void setImmediate(() => request.socket.destroy())
          }
          response.write(chunk)
        })
        answer.on('end', () => response.end())
      })
      // The server is away: so is its proxy.
      onward.on('error', () => request.socket.destroy())
      request.pipe(onward)
    }
    if (fault?.kind === 'delay') setTimeout(pass, fault.ms)
    else pass()
  })
  const proxy: FaultyProxy = {
    endpoint: '',
    fault: () => undefined,
    seen: [],
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return Object.assign(proxy, { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}
