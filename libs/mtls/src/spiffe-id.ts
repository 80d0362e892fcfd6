/**
 * Who a certificate is of: its one URI SAN, a SPIFFE id (https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md) in
 * the form that service meshes use in Kubernetes, spiffe://<trust domain>/ns/<namespace>/sa/<service>.
 */
export interface SpiffeId {
  readonly trustDomain: string
  readonly namespace: string
  readonly service: string
}

/** Identities that Plateau knows. */
export const serviceNames = ['target-model', 'serving', 'trainer', 'flatness-scorer', 'console', 'operator'] as const
export type ServiceName = (typeof serviceNames)[number]

const MAX_LENGTH = 2048
const NAME = '[a-z0-9](?:[-a-z0-9]{0,251}[a-z0-9])?'
const TRUST_DOMAIN = '[a-z0-9._-]{1,255}'
const FORM = new RegExp(`^spiffe://(${TRUST_DOMAIN})/ns/(${NAME})/sa/(${NAME})$`)

export function spiffeId({ trustDomain, namespace, service }: SpiffeId): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${service}`
}

/** Undefined for anything else than exactly this form. */
export function parseSpiffeId(uri: string): SpiffeId | undefined {
  const match = uri.length > MAX_LENGTH ? null : FORM.exec(uri)
  if (match === null) return undefined
  const [, trustDomain, namespace, service] = match
  return { trustDomain: trustDomain!, namespace: namespace!, service: service! }
}

/** What a peer's certificate and one read from a file have in common: their SANs as Node writes them. */
export interface NamedCertificate {
  readonly subjectaltname?: string | undefined
}

/** Undefined when the certificate has no URI, several, or one of another form: such a peer is nobody. */
export function identityOf({ subjectaltname = '' }: NamedCertificate): SpiffeId | undefined {
  const uris = sansOf(subjectaltname, 'URI')
  return uris.length === 1 ? parseSpiffeId(uris[0]!) : undefined
}

/** Whether the certificate is for hosts, not for an identity alone. */
export function namesHosts({ subjectaltname = '' }: NamedCertificate): boolean {
  return sansOf(subjectaltname, 'DNS').length + sansOf(subjectaltname, 'IP Address').length > 0
}

/**
 * Node puts a SAN with special characters in quotes, and such a one may hold what looks like further SANs
 * (CVE-2021-44532). None of ours has any: a list with quotes names nobody.
 */
function sansOf(subjectAltName: string, kind: 'URI' | 'DNS' | 'IP Address'): string[] {
  if (subjectAltName.includes('"')) return []
  return subjectAltName
    .split(', ')
    .filter((name) => name.startsWith(`${kind}:`))
    .map((name) => name.slice(kind.length + 1))
}
