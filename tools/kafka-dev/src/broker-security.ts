/** What a client has to know to log in. */
import { caFile, certificateFiles, type CertificateFiles } from './certificates.js'
import { KafkaDevError } from './errors.js'
import type { KafkaUser, NodeSettings } from './settings.js'

export type BrokerSecurity =
  | { readonly kind: 'plaintext' }
  | {
      readonly kind: 'sasl_ssl'
      readonly caFile: string
      /** By SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN. The first is the super user; the others may do what an ACL says. */
      readonly users: readonly KafkaUser[]
      /** Where a certificate logs in, as `user`. `stranger` bears the same name from an authority that is not trusted. */
      readonly mtls: { readonly bootstrap: string; readonly user: string } & CertificateFiles & {
          readonly stranger: CertificateFiles
        }
      /** Where OAUTHBEARER believes the name in any unsigned token; see `unsecuredToken`. */
      readonly oauth: { readonly bootstrap: string }
    }

export const defaultUsers: readonly KafkaUser[] = [
  { name: 'admin', password: 'admin-secret' },
  { name: 'app', password: 'app-secret' },
  { name: 'guest', password: 'guest-secret' },
]

/** Names and passwords stand in login lines and on command lines: they are kept plain. */
export function checkedUsers(users: readonly KafkaUser[]): readonly KafkaUser[] {
  const plain = /^[A-Za-z0-9._-]+$/
  const bad = users.find(({ name, password }) => !plain.test(name) || !plain.test(password))
  if (bad === undefined && users.length > 0) return users
  throw new KafkaDevError('BAD_OPTION', 'users: at least one; letters, digits and . _ - in names and passwords')
}

/** Whom the client certificate stands for: the first user that is not the super user. */
export function certificateUser(users: readonly KafkaUser[]): string {
  return (users[1] ?? users[0])?.name ?? 'client'
}

export function securityFacts(directory: string, { security, users, ports }: NodeSettings): BrokerSecurity {
  if (security === 'plaintext') return { kind: 'plaintext' }
  const user = certificateUser(users)
  return {
    kind: 'sasl_ssl',
    caFile: caFile(directory),
    users,
    mtls: {
      bootstrap: `127.0.0.1:${ports.mtls}`,
      user,
      ...certificateFiles(directory, user),
      stranger: certificateFiles(directory, 'stranger'),
    },
    oauth: { bootstrap: `127.0.0.1:${ports.oauth}` },
  }
}

/** A token for `security.oauth`: unsigned, so anyone can be anyone. `lifetimeMs` may be negative: expired already. */
export function unsecuredToken(user: string, lifetimeMs = 3_600_000): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const nowS = Math.floor(Date.now() / 1000)
  return `${part({ alg: 'none' })}.${part({ sub: user, iat: nowS - 60, exp: nowS + Math.round(lifetimeMs / 1000) })}.`
}
