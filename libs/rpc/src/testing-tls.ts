/** Certificates for tests, in memory, that can be replaced. */
import {
  issueCertificate,
  makeAuthority,
  validFor,
  type CertificateAndKey,
  type Validity,
} from '@plateau/dev-certificates'
import type { Certificates, CertificateTexts } from './transport-security.js'

export const authority = await makeAuthority('ours', validFor(1, Date.now()))
export const stranger = await makeAuthority('theirs', validFor(1, Date.now()))

export interface Issued {
  readonly by?: CertificateAndKey
  /** Whom the holder trusts. */
  readonly trusts?: CertificateAndKey
  readonly validity?: Validity
}

export async function textsFor(name: string, issued: Issued = {}): Promise<CertificateTexts> {
  const { by = authority, trusts = authority, validity = validFor(1, Date.now()) } = issued
  const uris = [`spiffe://here/ns/test/sa/${name}`]
  const { certificate, key } = await issueCertificate(by, { ...validity, commonName: name, uris, hosts: ['127.0.0.1'] })
  return { cert: certificate, key, ca: trusts.certificate }
}

export class Replaceable implements Certificates {
  current: CertificateTexts
  readonly listeners = new Set<(texts: CertificateTexts) => void>()

  constructor(current: CertificateTexts) {
    this.current = current
  }

  onChange(listener: (texts: CertificateTexts) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  replace(texts: CertificateTexts): void {
    this.current = texts
    for (const listener of this.listeners) listener(texts)
  }
}

export const certificatesFor = async (name: string, issued?: Issued): Promise<Replaceable> =>
  new Replaceable(await textsFor(name, issued))
