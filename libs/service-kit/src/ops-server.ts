import type { MetricsEndpoint } from '@plateau/telemetry'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { HealthAnswer, HealthBoard } from './health.js'

export interface OpsServer {
  readonly url: string
  close(): Promise<void>
}

/** GET /healthz, /readyz and /metrics, for whoever operates the service. Never on the port that clients use. */
export async function startOpsServer(options: {
  readonly host: string
  readonly port: number
  readonly health: HealthBoard
  readonly metrics: MetricsEndpoint
}): Promise<OpsServer> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0]
    if (path === '/healthz') answerHealth(response, options.health.liveness())
    else if (path === '/readyz') answerHealth(response, options.health.readiness())
    else if (path === '/metrics') options.metrics.handle(request, response)
    else response.writeHead(404).end('not found: try /healthz, /readyz or /metrics\n')
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

function answerHealth(response: ServerResponse, { ok, reasons }: HealthAnswer): void {
  response.writeHead(ok ? 200 : 503, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify({ status: ok ? 'ok' : 'not ok', reasons })}\n`)
}
