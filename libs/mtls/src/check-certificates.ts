import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { identityOf, type SpiffeId } from './spiffe-id.js'

/** PEM as it stands in the files: the certificate with its intermediates, its private key, the authorities that are trusted. */
export interface CertificateTexts {
  readonly cert: string
  readonly key: string
  readonly ca: string
}

export interface Expectation {
  /** Whose certificate it should be: the last part of its SPIFFE id. */
  readonly service: string
  /** Undefined: any. */
  readonly trustDomain: string | undefined
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

export interface CheckedCertificates {
  readonly identity: SpiffeId
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** Of the authority that ends first. */
  readonly caNotAfterMs: number
}

export type CheckResult =
  | { readonly ok: true; readonly checked: CheckedCertificates }
  | { readonly ok: false; readonly problems: readonly string[] }

/** Longest chain from a certificate to an authority that is followed. */
const MAX_CHAIN = 8
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'

/**
 * Whether TLS with these would work, and everything that would not, a sentence each. Says nothing of how the other side
 * would judge them.
 */
export function checkCertificates(texts: CertificateTexts, expected: Expectation): CheckResult {
  const problems: string[] = []
  const chain = read(() => certificatesIn(texts.cert), 'the certificate file', problems)
  const authorities = read(() => certificatesIn(texts.ca), 'the CA file', problems)
  const key = read(() => createPrivateKey(texts.key), 'the key file', problems)
  const leaf = chain?.[0]
  if (leaf === undefined || authorities === undefined) return { ok: false, problems }

  const identity = identityOf({ subjectaltname: leaf.subjectAltName })
  problems.push(
    ...keyProblems(leaf, key),
    ...timeProblems('the certificate', leaf, expected.nowMs),
    ...identityProblems(leaf, identity, expected),
    ...usageProblems(leaf, expected.service),
    ...authorityProblems(chain!, authorities, expected.nowMs),
  )
  if (problems.length > 0 || identity === undefined) return { ok: false, problems }
  return {
    ok: true,
    checked: {
      identity,
      notBeforeMs: Date.parse(leaf.validFrom),
      notAfterMs: Date.parse(leaf.validTo),
      caNotAfterMs: Math.min(...authorities.map(({ validTo }) => Date.parse(validTo))),
    },
  }
}

function read<T>(parse: () => T, what: string, problems: string[]): T | undefined {
  try {
    return parse()
  } catch (error) {
    // OpenSSL's own words name a routine; they never hold anything of a key.
    problems.push(`${what} cannot be used: ${(error as Error).message}`)
    return undefined
  }
}

function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new TypeError('it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)')
  return blocks.map((block) => new X509Certificate(block))
}

function keyProblems(leaf: X509Certificate, key: KeyObject | undefined): string[] {
  return key === undefined || leaf.checkPrivateKey(key) ? [] : ['the key does not belong to the certificate']
}

function timeProblems(what: string, { validFrom, validTo }: X509Certificate, nowMs: number): string[] {
  if (nowMs > Date.parse(validTo)) return [`${what} expired at ${isoOf(validTo)}`]
  if (nowMs < Date.parse(validFrom)) return [`${what} is not valid before ${isoOf(validFrom)} (is this clock right?)`]
  return []
}

function identityProblems(leaf: X509Certificate, identity: SpiffeId | undefined, expected: Expectation): string[] {
  if (identity === undefined) {
    const found = leaf.subjectAltName ?? 'none'
    return [
      `the certificate needs exactly one URI name, spiffe://<trust domain>/ns/<namespace>/sa/${expected.service}; its names: ${found}`,
    ]
  }
  const problems: string[] = []
  if (identity.service !== expected.service)
    problems.push(`the certificate is of "${identity.service}", and this is ${expected.service}`)
  if (expected.trustDomain !== undefined && identity.trustDomain !== expected.trustDomain)
    problems.push(`the certificate is of trust domain "${identity.trustDomain}", not "${expected.trustDomain}"`)
  return problems
}

/** Operators only call, target-model only answers, others do both. A certificate without the extension may do all. */
function usageProblems({ keyUsage }: X509Certificate, service: string): string[] {
  if (keyUsage === undefined) return []
  const missing = [
    ...(service === 'operator' || keyUsage.includes(SERVER_AUTH) ? [] : ['serverAuth']),
    ...(service === 'target-model' || keyUsage.includes(CLIENT_AUTH) ? [] : ['clientAuth']),
  ]
  return missing.length === 0 ? [] : [`the certificate's extended key usage lacks ${missing.join(' and ')}`]
}

function authorityProblems(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  nowMs: number,
): string[] {
  const notAuthorities = authorities.filter(({ ca }) => !ca)
  if (notAuthorities.length > 0)
    return [`the CA file holds a certificate of no authority: ${notAuthorities[0]!.subject.replaceAll('\n', ', ')}`]
  const root = rootOf(chain, authorities)
  if (root === undefined) return ['no authority of the CA file has signed the certificate (by its intermediates)']
  return timeProblems("the CA file's authority", root, nowMs)
}

function rootOf(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): X509Certificate | undefined {
  let current = chain[0]!
  for (let depth = 0; depth < MAX_CHAIN; depth++) {
    const isIssuer = (candidate: X509Certificate): boolean =>
      current.checkIssued(candidate) && current.verify(candidate.publicKey)
    const root = authorities.find(isIssuer)
    if (root !== undefined) return root
    const next = chain.find((candidate) => candidate !== current && candidate.ca && isIssuer(candidate))
    if (next === undefined) return undefined
    current = next
  }
  return undefined
}

function isoOf(time: string): string {
  return new Date(time).toISOString()
}
