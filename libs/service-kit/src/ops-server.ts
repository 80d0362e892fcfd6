import type { MetricsEndpoint } from '@plateau/telemetry'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { HealthAnswer, HealthBoard } from './health.js'

export interface OpsServer {
  readonly url: string
  close(): Promise<void>
}

/** Answers a request for /healthz, /readyz or /metrics; false when it is for something else. */
export type OpsHandler = (request: IncomingMessage, response: ServerResponse) => boolean

export function opsHandler(health: HealthBoard, metrics: MetricsEndpoint): OpsHandler {
  return (request, response) => {
    const path = request.url?.split('?')[0]
    if (path === '/healthz') answerHealth(response, health.liveness())
    else if (path === '/readyz') answerHealth(response, health.readiness())
    else if (path === '/metrics') metrics.handle(request, response)
    else return false
    return true
  }
}

/** The port for whoever operates the service; clients have another. */
export async function startOpsServer(options: {
  readonly host: string
  readonly port: number
  readonly answer: OpsHandler
}): Promise<OpsServer> {
  const server = createServer((request, response) => {
    if (options.answer(request, response)) return
    response.writeHead(404).end('not found: try /healthz, /readyz or /metrics\n')
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        // A scraper keeps its connection open; it must not hold up the exit.
        server.closeAllConnections()
      }),
  }
}

function answerHealth(response: ServerResponse, { ok, reasons, notes }: HealthAnswer): void {
  response.writeHead(ok ? 200 : 503, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify({ status: ok ? 'ok' : 'not ok', reasons, notes })}\n`)
}
