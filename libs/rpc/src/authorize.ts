import {
  ServerInterceptingCall,
  ServerListenerBuilder,
  status,
  type Metadata,
  type ServerInterceptor,
  type StatusObject,
} from '@grpc/grpc-js'
import type { PeerCertificate } from 'node:tls'
import type { ReportError } from './handlers.js'
import { toStatus } from './rpc-error.js'

/**
 * Decides on a call before its handler hears of it; throws a PlateauError UNAUTHENTICATED or PERMISSION_DENIED to refuse.
 * `path` is "/package.Service/Method".
 */
export type Authorize = (path: string, caller: Caller) => void

export interface Caller {
  /** Metadata by name. */
  get(name: string): string | undefined
  /** The certificate that the caller holds the key of, its chain verified; undefined without TLS. */
  readonly certificate: PeerCertificate | undefined
}

/** What probes and tools ask before they can know anything of keys. */
const OPEN_TO_ALL = /^\/grpc\.(health|reflection)\./

export function authorizing(authorize: Authorize, report: ReportError): ServerInterceptor {
  return ({ path }, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        const listener = new ServerListenerBuilder().withOnReceiveMetadata((metadata, pass) => {
          const { sslPeerCertificate: certificate } = call.getAuthContext()
          const refusal = refusalOf(authorize, path, { metadata, certificate }, report)
          if (refusal === undefined) pass(metadata)
          else call.sendStatus(refusal)
        })
        next(listener.build())
      },
    })
}

function refusalOf(
  authorize: Authorize,
  path: string,
  { metadata, certificate }: { readonly metadata: Metadata; readonly certificate: PeerCertificate | undefined },
  report: ReportError,
): StatusObject | undefined {
  if (OPEN_TO_ALL.test(path)) return undefined
  try {
    authorize(path, { get: (name) => metadata.get(name)[0]?.toString(), certificate })
    return undefined
  } catch (error) {
    const sent = toStatus(error)
    if (sent.code === status.INTERNAL) report(error, path)
    return sent
  }
}
