/** Certificates for tests of this package: an authority, and files of what it signed. */
import {
  issueCertificate,
  makeAuthority,
  validFor,
  type CertificateAndKey,
  type CertificateRequest,
} from '@plateau/dev-certificates'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { CertificatePaths } from './certificate-files.js'
import type { CertificateTexts } from './check-certificates.js'

export const DAY_MS = 86_400_000
export const nowMs = Date.now()

export const authority = await makeAuthority('here', validFor(100, nowMs))
export const stranger = await makeAuthority('elsewhere', validFor(100, nowMs))

export const uriOf = (service: string, namespace = 'plateau', trustDomain = 'here'): string =>
  `spiffe://${trustDomain}/ns/${namespace}/sa/${service}`

export function issue(request: Partial<CertificateRequest> = {}, by = authority): Promise<CertificateAndKey> {
  const usual = { ...validFor(10, nowMs), commonName: 'test', uris: [uriOf('serving')], hosts: ['127.0.0.1'] }
  return issueCertificate(by, { ...usual, ...request })
}

export async function texts(request: Partial<CertificateRequest> = {}, by = authority): Promise<CertificateTexts> {
  const { certificate, key } = await issue(request, by)
  return { cert: certificate, key, ca: authority.certificate }
}

export interface WrittenFiles extends CertificatePaths {
  write(texts: Partial<CertificateTexts>): void
}

export function filesOf(first: CertificateTexts): WrittenFiles {
  const directory = mkdtempSync(join(tmpdir(), 'mtls-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const [certFile, keyFile, caFile] = ['tls.crt', 'tls.key', 'ca.crt'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  const write = ({ cert, key, ca }: Partial<CertificateTexts>): void => {
    if (cert !== undefined) writeFileSync(certFile, cert)
    if (key !== undefined) writeFileSync(keyFile, key, { mode: 0o600 })
    if (ca !== undefined) writeFileSync(caFile, ca)
  }
  write(first)
  return { certFile, keyFile, caFile, write }
}
