import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'

/** Who this process is, as OpenTelemetry names it: on every span, log line and scrape. */
export interface ProcessIdentity {
  readonly 'service.name': string
  readonly 'service.version': string
  readonly 'service.instance.id': string
}

/** Processes of one service are told apart by their host (in a cluster, the pod) and process id. */
export function processIdentity(service: string): ProcessIdentity {
  // All packages have one version; this one's package.json is beside its sources and beside what is built of them.
  const packageJson = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(packageJson) as { readonly version: string }
  return { 'service.name': service, 'service.version': version, 'service.instance.id': `${hostname()}/${process.pid}` }
}
