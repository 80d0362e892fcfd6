import {
  CertificateFiles,
  callerRefusal,
  identityOf,
  serverRefusal,
  spiffeId,
  type CallerRefusal,
  type CertificateEvent,
  type MethodTable,
  type ServiceName,
  type Trust,
} from '@plateau/mtls'
import type { Logger, Metrics } from '@plateau/telemetry'
import type { PeerCertificate } from 'node:tls'
import { certificatePaths, type TransportConfig } from './transport-config.js'

/** Between two looks at the certificates. */
const LOOK_MS = 2_000
/** A refusal of one caller and method, or of handshakes for one reason, is logged once in so long; metrics count them all. */
const QUIET_MS = 60_000
const MAX_QUIET = 1000

export interface TransportParts {
  readonly service: ServiceName
  readonly logger: Logger
  /** Without: nothing is counted, as in a command. */
  readonly metrics?: Metrics
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

interface CertifiedCaller {
  readonly certificate: PeerCertificate | undefined
}

/** Options of a gRPC server. */
export interface ServerTransport {
  readonly tls?: CertificateFiles
  readonly authorize?: (path: string, caller: CertifiedCaller) => void
  readonly limits?: { readonly maxConnectionAgeMs: number }
  readonly onRefusedHandshake?: (reason: string) => void
}

/** Options of a gRPC channel. */
export interface ClientTransport {
  readonly tls?: {
    readonly certificates: CertificateFiles
    readonly refuseServer: (host: string, certificate: PeerCertificate) => Error | undefined
  }
}

/** How this process talks with others; in plaintext everything is empty. */
export interface Transport {
  readonly isSecure: boolean
  /** For a server whose methods these services may call. */
  server(callers: MethodTable): ServerTransport
  /** For a channel to `service`. */
  client(service: ServiceName): ClientTransport
  close(): void
}

/** Who holds the certificate, in full; undefined for nobody that we know. */
export function callerName(certificate: PeerCertificate | undefined): string | undefined {
  const identity = certificate === undefined ? undefined : identityOf(certificate)
  return identity === undefined ? undefined : spiffeId(identity)
}

/** Reads the certificates and keeps looking at them. Throws when they became unusable after the configuration was parsed. */
export async function openTransport(config: TransportConfig, parts: TransportParts): Promise<Transport> {
  const paths = certificatePaths(config)
  if (paths === undefined) return plaintext
  // Imported late: the contracts load grpc-js, which tracing has to see first.
  const { PlateauError } = await import('@plateau/contracts')
  const { service, logger, metrics, clock } = parts
  const reloads = metrics?.counter('plateau_certificate_reloads_total')
  const files = CertificateFiles.open({
    ...paths,
    service,
    trustDomain: config.trustDomain,
    intervalMs: LOOK_MS,
    clock,
    onEvent: (event) => {
      if (event.kind === 'reloaded' || event.kind === 'refused') reloads?.add({ result: event.kind })
      say(event, logger)
    },
  })
  metrics?.gauge('plateau_certificate_expiry_seconds').observe(() => [
    [{ certificate: 'own' }, files.checked.notAfterMs / 1000],
    [{ certificate: 'authority' }, files.checked.caNotAfterMs / 1000],
  ])
  const { identity } = files.checked
  const trust: Trust = {
    trustDomain: identity.trustDomain,
    namespaces: config.trustedNamespaces ?? [identity.namespace],
  }
  logger.info('mutual TLS', { identity: spiffeId(identity), trustedNamespaces: trust.namespaces.join(',') })
  const onRefused = refusals(parts)
  const onRefusedHandshake = refusedHandshakes(parts)
  return {
    isSecure: true,
    server: (callers) => ({
      tls: files,
      // A connection shows the certificates that it began with: whoever is no longer certified is out after so long.
      limits: { maxConnectionAgeMs: config.maxConnectionAgeMs },
      onRefusedHandshake,
      authorize: (path, { certificate }) => {
        const refusal = callerRefusal(trust, callers, path, certificate)
        if (refusal === undefined) return
        onRefused(path, certificate, refusal)
        const { code, message, caller } = refusal
        throw new PlateauError(code, message, { facts: { method: path, caller } })
      },
    }),
    client: (expected) => ({
      tls: {
        certificates: files,
        refuseServer: (host, certificate) => serverRefusal(trust, expected, host, certificate),
      },
    }),
    close: () => files.close(),
  }
}

const plaintext: Transport = { isSecure: false, server: () => ({}), client: () => ({}), close: () => {} }

function say(event: CertificateEvent, logger: Logger): void {
  switch (event.kind) {
    case 'reloaded':
      return logger.info('new certificates in force', { notAfter: isoOf(event.checked.notAfterMs) })
    case 'refused':
      return logger.error('new certificates cannot be used: the earlier ones stay in force', {
        problems: event.problems.join('; '),
      })
    case 'expires':
      return logger.warn('certificates should be renewed', { what: event.what, notAfter: isoOf(event.notAfterMs) })
    case 'exposed':
      return logger.warn('the private key can be read by every user of this machine', { path: event.path })
  }
}

function isoOf(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

/** Counts calls that were refused, and keeps the audit. */
function refusals({ logger, metrics, clock }: TransportParts) {
  const counter = metrics?.counter('plateau_rpc_refused_total')
  const isNews = newsOf(clock)
  return (
    method: string,
    certificate: PeerCertificate | undefined,
    { code, caller = 'unknown' }: CallerRefusal,
  ): void => {
    const service = certificate === undefined ? undefined : identityOf(certificate)?.service
    counter?.add({ method, caller: service ?? 'unknown' })
    if (isNews(`${caller} ${method}`)) logger.warn('call refused', { method, caller, code })
  }
}

function refusedHandshakes({ logger, metrics, clock }: TransportParts) {
  const counter = metrics?.counter('plateau_tls_handshakes_refused_total')
  const isNews = newsOf(clock)
  return (reason: string): void => {
    counter?.add({ reason })
    if (isNews(reason)) logger.warn('handshake refused', { code: reason })
  }
}

/** Whether something has not been said for a while. */
function newsOf(clock: () => number): (what: string) => boolean {
  const saidAtMs = new Map<string, number>()
  return (what) => {
    const now = clock()
    if (now - (saidAtMs.get(what) ?? -Infinity) < QUIET_MS) return false
    if (saidAtMs.size >= MAX_QUIET) saidAtMs.clear()
    saidAtMs.set(what, now)
    return true
  }
}
