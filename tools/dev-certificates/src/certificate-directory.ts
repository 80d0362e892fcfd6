/**
 * An authority and its certificates in a directory: ca.crt, ca.key, and for each holder a folder with tls.crt, tls.key and ca.crt,
 * as a Kubernetes secret of type kubernetes.io/tls has them.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { issueCertificate, makeAuthority, validFor, type CertificateAndKey } from './authority.js'

export interface Holder {
  /** Its folder, and the common name of its certificate. */
  readonly name: string
  readonly uris: readonly string[]
  readonly hosts: readonly string[]
}

export interface IssueOptions {
  /** Common name of the authority, should there be none yet. */
  readonly authorityName: string
  readonly authorityDays: number
  readonly days: number
  readonly nowMs: number
}

export interface HolderFiles {
  readonly certFile: string
  readonly keyFile: string
  readonly caFile: string
}

export function holderFiles(directory: string, name: string): HolderFiles {
  const at = (file: string): string => join(directory, name, file)
  return { certFile: at('tls.crt'), keyFile: at('tls.key'), caFile: at('ca.crt') }
}

/** Certificates of the directory's authority, which is made when it is missing; those that are there are replaced. */
export async function issueInto(directory: string, holders: readonly Holder[], options: IssueOptions): Promise<void> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const authority = await authorityIn(directory, options)
  for (const holder of holders) {
    const { name: commonName, uris, hosts } = holder
    const request = { ...validFor(options.days, options.nowMs), commonName, uris, hosts }
    const { certificate, key } = await issueCertificate(authority, request)
    const { certFile, keyFile, caFile } = holderFiles(directory, holder.name)
    mkdirSync(join(directory, holder.name), { recursive: true, mode: 0o700 })
    write(caFile, authority.certificate)
    write(keyFile, key)
    write(certFile, certificate)
  }
}

async function authorityIn(directory: string, options: IssueOptions): Promise<CertificateAndKey> {
  const [certFile, keyFile] = [join(directory, 'ca.crt'), join(directory, 'ca.key')]
  if (existsSync(keyFile) && existsSync(certFile))
    return { certificate: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
  const made = await makeAuthority(options.authorityName, validFor(options.authorityDays, options.nowMs))
  write(keyFile, made.key)
  write(certFile, made.certificate)
  return made
}

/** Whole or not at all: a service may read at any moment. */
function write(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
