import { isIP } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import {
  identityOf,
  namesHosts,
  spiffeId,
  type NamedCertificate,
  type ServiceName,
  type SpiffeId,
} from './spiffe-id.js'

/** Whose identities count, wherever their certificates come from. */
export interface Trust {
  readonly trustDomain: string
  /** A name is only worth what its namespace is: whoever owns another one can make a service account of any name there. */
  readonly namespaces: readonly string[]
}

/**
 * Judges the certificate of a server that should be `service` and was dialled as `host`; its chain has been verified.
 * By its SPIFFE id, and where the certificate names hosts by these too, unless `host` is this machine: then it is one
 * of ours, or the near end of a tunnel.
 */
export function serverRefusal(
  trust: Trust,
  service: ServiceName,
  host: string,
  certificate: PeerCertificate,
): Error | undefined {
  const identity = identityOf(certificate)
  if (identity === undefined || !isTrusted(trust, identity) || identity.service !== service) {
    const found = identity === undefined ? 'nobody we know' : spiffeId(identity)
    return new Error(`the server at ${host} is ${found}, expected was "${service}" of ${describeTrust(trust)}`)
  }
  return namesHosts(certificate) && !isThisMachine(host) ? checkServerIdentity(host, certificate) : undefined
}

/** Who may call a method: these services; or every identity of the trust domain, for what has keys of its own. */
export type Callers = readonly ServiceName[] | 'everyone'

/** By "/package.Service/Method"; a method that is not in it is nobody's. */
export type MethodTable = Readonly<Record<string, Callers>>

/** What a caller is told, by names of gRPC statuses. */
export interface CallerRefusal {
  readonly code: 'UNAUTHENTICATED' | 'PERMISSION_DENIED'
  readonly message: string
  /** The caller's SPIFFE id; undefined when it has none. */
  readonly caller: string | undefined
}

/** Why `peer` may not call the method at `path`; undefined when it may. */
export function callerRefusal(
  trust: Trust,
  table: MethodTable,
  path: string,
  peer: NamedCertificate | undefined,
): CallerRefusal | undefined {
  const identity = peer === undefined ? undefined : identityOf(peer)
  if (identity === undefined) {
    const message = `${path} needs a client certificate with one SPIFFE id (spiffe://<trust domain>/ns/<namespace>/sa/<service>)`
    return { code: 'UNAUTHENTICATED', message, caller: undefined }
  }
  const callers = Object.hasOwn(table, path) ? table[path]! : []
  const may =
    callers === 'everyone'
      ? identity.trustDomain === trust.trustDomain
      : (callers as readonly string[]).includes(identity.service) && isTrusted(trust, identity)
  if (may) return undefined
  const caller = spiffeId(identity)
  return { code: 'PERMISSION_DENIED', message: `${caller} may not call ${path}`, caller }
}

function isTrusted({ trustDomain, namespaces }: Trust, identity: SpiffeId): boolean {
  return identity.trustDomain === trustDomain && namespaces.includes(identity.namespace)
}

function describeTrust({ trustDomain, namespaces }: Trust): string {
  return `trust domain "${trustDomain}", namespace ${namespaces.map((name) => `"${name}"`).join(' or ')}`
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
