/**
 * X.509 for development, tests, and whoever has no cert-manager: an authority and what it signs, with ECDSA P-256 keys.
 * It knows nothing of Plateau: names are the caller's.
 */
// Of @peculiar/x509's container; it must be there first.
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import { randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
/** Clocks of machines differ: what was signed just now is valid on the one that is behind, too. */
const BACKDATED_MS = 60_000

x509.cryptoProvider.set(webcrypto)

/** PEM. The certificate of an authority, or one that an authority signed, and the private key (PKCS #8) of it. */
export interface CertificateAndKey {
  readonly certificate: string
  readonly key: string
}

export interface Validity {
  readonly notBefore: Date
  readonly notAfter: Date
}

export interface CertificateRequest extends Validity {
  readonly commonName: string
  /** URI SANs, such as SPIFFE ids. */
  readonly uris: readonly string[]
  /** DNS names or IP addresses. */
  readonly hosts: readonly string[]
  /** What the holder may do in TLS. Default: both. */
  readonly usages?: readonly ('server' | 'client')[]
}

/** From a minute ago, for so many days after `nowMs`. */
export function validFor(days: number, nowMs: number): Validity {
  return { notBefore: new Date(nowMs - BACKDATED_MS), notAfter: new Date(nowMs + days * 86_400_000) }
}

/** A self-signed authority that signs certificates of services, and no further authorities. */
export async function makeAuthority(commonName: string, validity: Validity): Promise<CertificateAndKey> {
  const keys = await newKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [commonName] }],
    ...validity,
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: `${certificate.toString('pem')}\n`, key: await keyPem(keys) }
}

/** A certificate with a key of its own. Throws when `authority` is no authority, or its key another's. */
export async function issueCertificate(
  authority: CertificateAndKey,
  request: CertificateRequest,
): Promise<CertificateAndKey> {
  const { commonName, uris, hosts, notBefore, notAfter, usages = ['server', 'client'] } = request
  const issuer = new x509.X509Certificate(authority.certificate)
  const keys = await newKeys()
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [commonName] }],
    issuer: issuer.subject,
    notBefore,
    notAfter,
    signingKey: await signingKey(authority.key),
    publicKey: keys.publicKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages.map((usage) => x509.ExtendedKeyUsage[`${usage}Auth`])),
      new x509.SubjectAlternativeNameExtension([
        ...uris.map((value) => ({ type: 'url', value }) as const),
        ...hosts.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }) as const),
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  if (!(await certificate.verify({ publicKey: issuer.publicKey, signatureOnly: true })))
    throw new Error("the authority's key does not belong to its certificate")
  return { certificate: `${certificate.toString('pem')}\n`, key: await keyPem(keys) }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>
}

/** Positive, and no two alike. */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0]! &= 0x7f
  return bytes.toString('hex')
}

async function keyPem({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', privateKey), 'PRIVATE KEY')}\n`
}

function signingKey(pem: string): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(pem)
  return webcrypto.subtle.importKey('pkcs8', der!, ALGORITHM, false, ['sign']) as Promise<webcrypto.CryptoKey>
}
