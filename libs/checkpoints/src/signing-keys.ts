import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf, PlateauError } from '@plateau/contracts'

/** An Ed25519 key pair, or only its public half. `id` names the key in signatures: a digest of the public key. */
export interface SigningKey {
  readonly id: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export interface VerifyingKey {
  readonly id: string
  readonly publicKey: KeyObject
}

export function generateSigningKey(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { id: keyId(publicKey), privateKey, publicKey }
}

/** Writes <file> (PKCS 8 PEM, readable by its owner only) and <file>.pub (SPKI PEM). Never overwrites a key. */
export async function writeSigningKey(file: string, key: SigningKey): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  try {
    await writeFile(file, key.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' })
    await writeFile(`${file}.pub`, key.publicKey.export({ type: 'spki', format: 'pem' }), { mode: 0o644 })
    await chmod(file, 0o600)
  } catch (thrown) {
    throw new PlateauError(
      'SIGNING_KEY_NOT_WRITTEN',
      `the signing key could not be written to ${file}: ${messageOf(thrown)}`,
      {
        facts: { file },
        cause: thrown,
      },
    )
  }
}

/** Refuses a private key file that others than its owner can read. */
export async function readSigningKey(file: string): Promise<SigningKey> {
  const pem = await readPem(file)
  const { mode } = await stat(file)
  if ((mode & 0o077) !== 0) {
    throw new PlateauError(
      'SIGNING_KEY_EXPOSED',
      `${file} can be read by others than its owner (mode ${(mode & 0o777).toString(8)}): run chmod 600 on it`,
      { facts: { file } },
    )
  }
  try {
    const privateKey = createPrivateKey(pem)
    const publicKey = createPublicKey(pem)
    mustBeEd25519(privateKey)
    return { id: keyId(publicKey), privateKey, publicKey }
  } catch (thrown) {
    throw invalidKey(file, 'an Ed25519 private key in PEM form', thrown)
  }
}

/** Reads a public key; a private key file is accepted too, and only its public half is kept. */
export async function readVerifyingKey(file: string): Promise<VerifyingKey> {
  const pem = await readPem(file)
  try {
    const publicKey = createPublicKey(pem)
    mustBeEd25519(publicKey)
    return { id: keyId(publicKey), publicKey }
  } catch (thrown) {
    throw invalidKey(file, 'an Ed25519 public key in PEM form', thrown)
  }
}

function keyId(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16)
}

function mustBeEd25519(key: KeyObject): void {
  if (key.asymmetricKeyType !== 'ed25519')
    throw new TypeError(`it holds a key of type ${String(key.asymmetricKeyType)}`)
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (thrown) {
    throw new PlateauError('SIGNING_KEY_UNREADABLE', `the key file ${file} cannot be read: ${messageOf(thrown)}`, {
      facts: { file },
      cause: thrown,
    })
  }
}

/** The parser's own message is left out of the sentence: it may quote the file. */
function invalidKey(file: string, expected: string, cause: unknown): PlateauError {
  return new PlateauError('SIGNING_KEY_INVALID', `${file} does not hold ${expected}`, { facts: { file }, cause })
}
