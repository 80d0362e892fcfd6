/** A certificate authority of a broker's own, made with openssl: nothing outside trusts it, nothing outside is trusted. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KafkaDevError } from './errors.js'
import { onPath, runProgram } from './java.js'
import { brokerPrincipal } from './server-properties.js'

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

export const caFile = (directory: string) => join(directory, 'tls', 'ca.pem')

/** A client certificate for that name; `stranger` is one that another authority has signed. */
export const certificateFiles = (directory: string, name: string): CertificateFiles => ({
  certFile: join(directory, 'tls', `${name}.crt`),
  keyFile: join(directory, 'tls', `${name}.key`),
})

/** Writes tls/ once: the authority, the broker's key store, and client certificates for `clientName` and `stranger`. */
export async function makeCertificates(directory: string, clientName: string): Promise<void> {
  const folder = join(directory, 'tls')
  if (existsSync(folder)) return
  if (onPath('openssl') === undefined)
    throw new KafkaDevError('UNAVAILABLE', 'no openssl on the path, which makes the certificates of a sasl_ssl broker')
  const draft = join(directory, 'tls.new')
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft, { recursive: true, mode: 0o700 })
  await makeAuthority(draft, 'ca', 'kafka-dev-ca')
  await makeAuthority(draft, 'other-ca', 'another-ca')
  await Promise.all([
    makeCertificate(draft, { file: 'broker', name: brokerPrincipal, authority: 'ca' }),
    makeCertificate(draft, { file: clientName, name: clientName, authority: 'ca' }),
    makeCertificate(draft, { file: 'stranger', name: clientName, authority: 'other-ca' }),
  ])
  const read = (file: string) => readFileSync(join(draft, file), 'utf8')
  writeFileSync(join(draft, 'broker.pem'), read('broker.key') + read('broker.crt'), { mode: 0o600 })
  renameSync(draft, folder)
}

const newKey = ['-newkey', 'rsa:2048', '-nodes']

async function makeAuthority(cwd: string, file: string, name: string): Promise<void> {
  const subject = ['-subj', `/CN=${name}`, '-days', '3650']
  await runProgram(
    'openssl',
    ['req', '-x509', ...newKey, ...subject, '-keyout', `${file}.key`, '-out', `${file}.pem`],
    {
      cwd,
    },
  )
}

async function makeCertificate(
  cwd: string,
  { file, name, authority }: { file: string; name: string; authority: string },
): Promise<void> {
  const request = ['-subj', `/CN=${name}`, '-keyout', `${file}.key`, '-out', `${file}.csr`]
  await runProgram('openssl', ['req', ...newKey, ...request], { cwd })
  const use = 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n'
  writeFileSync(join(cwd, `${file}.ext`), use)
  const signer = [
    '-CA',
    `${authority}.pem`,
    '-CAkey',
    `${authority}.key`,
    '-set_serial',
    `0x${randomBytes(8).toString('hex')}`,
  ]
  const result = ['-days', '3650', '-extfile', `${file}.ext`, '-out', `${file}.crt`]
  await runProgram('openssl', ['x509', '-req', '-in', `${file}.csr`, ...signer, ...result], { cwd })
}
