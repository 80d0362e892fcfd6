/**
 * TLS 1.3 with certificates on both sides, which may be replaced while connections and calls go on. Whose certificates they
 * are and what that allows is for the callers to say.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { experimental, ServerCredentials, type ChannelCredentials } from '@grpc/grpc-js'
import { Server, type PeerCertificate, type SecureContextOptions, type TLSSocket } from 'node:tls'

/** PEM. */
export interface CertificateTexts {
  readonly cert: string
  readonly key: string
  /** Authorities that the other side's certificate may come from; no others. */
  readonly ca: string
}

/** Certificates that fit together, and word of newer ones. */
export interface Certificates {
  readonly current: CertificateTexts
  /** The answer ends it. */
  onChange(listener: (texts: CertificateTexts) => void): () => void
}

export interface ClientTls {
  readonly certificates: Certificates
  /** Why the server that was dialled as `host` is not the one that is wanted; its chain has been verified. */
  readonly refuseServer: (host: string, certificate: PeerCertificate) => Error | undefined
}

/** Nobody gets in without a certificate that `ca` signed. New certificates are for new connections. */
export function serverCredentials(certificates: Certificates): {
  readonly credentials: ServerCredentials
  /** Lets go of the certificates. */
  readonly close: () => void
} {
  const credentials = new MutualTls(contextOf(certificates.current))
  return { credentials, close: certificates.onChange((texts) => credentials.update(contextOf(texts))) }
}

/** Node.js says it of every server that begins to listen. */
const LISTENS = 'tracing:net.server.listen:asyncStart'
const binding = new AsyncLocalStorage<symbol>()

/**
 * Runs `bind`, and tells from then on why handshakes with the TLS servers that it let listen came to nothing: the code of
 * what is wrong with the client's certificate, or of the connection's end. grpc-js keeps those servers to itself.
 */
export async function hearingRefusals<T>(tell: (reason: string) => void, bind: () => Promise<T>): Promise<T> {
  const ours = Symbol('bind')
  const hear = (message: unknown): void => {
    const { server } = message as { readonly server: unknown }
    if (binding.getStore() !== ours || !(server instanceof Server)) return
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => tell(reasonOf(error, socket)))
  }
  subscribe(LISTENS, hear)
  try {
    return await binding.run(ours, bind)
  } finally {
    unsubscribe(LISTENS, hear)
  }
}

/** Where the certificate was at fault the error speaks of a connection that was closed. */
function reasonOf({ code }: NodeJS.ErrnoException, { authorizationError }: TLSSocket): string {
  return String(authorizationError ?? code ?? 'unknown')
}

/** grpc-js' own credentials for changing certificates cannot be held to TLS 1.3. */
class MutualTls extends ServerCredentials {
  constructor(context: SecureContextOptions) {
    super({ requestCert: true, rejectUnauthorized: true }, context)
  }

  update(context: SecureContextOptions): void {
    this.updateSecureContextOptions(context)
  }

  _equals(other: ServerCredentials): boolean {
    return this === other
  }
}

function contextOf({ cert, key, ca }: CertificateTexts): SecureContextOptions {
  return { cert, key, ca, minVersion: 'TLSv1.3' }
}

type Provider = Parameters<typeof experimental.createCertificateProviderChannelCredentials>[0]

/** For a channel to `host`. */
export function clientCredentials({ certificates, refuseServer }: ClientTls, host: string): ChannelCredentials {
  const provider = providerOf(certificates)
  return experimental.createCertificateProviderChannelCredentials(provider, provider, {
    checkServerIdentity: (_, certificate) => refuseServer(host, certificate),
  })
}

/** The channel asks for them at each new connection. It lets go of them by taking its listeners back. */
function providerOf(certificates: Certificates): Provider {
  const stops = new Map<unknown, () => void>()
  const listen = (key: unknown, tell: (texts: CertificateTexts) => void): void => {
    stops.set(key, certificates.onChange(tell))
    tell(certificates.current)
  }
  const stop = (key: unknown): void => {
    stops.get(key)?.()
    stops.delete(key)
  }
  return {
    addCaCertificateListener: (listener) => listen(listener, ({ ca }) => listener({ caCertificate: Buffer.from(ca) })),
    removeCaCertificateListener: stop,
    addIdentityCertificateListener: (listener) =>
      listen(listener, ({ cert, key }) => listener({ certificate: Buffer.from(cert), privateKey: Buffer.from(key) })),
    removeIdentityCertificateListener: stop,
  }
}
