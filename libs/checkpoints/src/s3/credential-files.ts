import { messageOf, PlateauError } from '@plateau/contracts'
import { readFile } from 'node:fs/promises'
import type { S3CredentialFiles } from './s3-options.js'

interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly expiration: Date
}

/** Reads both files whenever it is asked, and says that they expire at once, so that it is asked for every request. */
export function credentialsFromFiles({
  accessKeyIdFile,
  secretAccessKeyFile,
}: S3CredentialFiles): () => Promise<Credentials> {
  return async () => ({
    accessKeyId: await readLine(accessKeyIdFile),
    secretAccessKey: await readLine(secretAccessKeyFile),
    expiration: new Date(),
  })
}

async function readLine(file: string): Promise<string> {
  let text = ''
  try {
    text = (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw unusable(file, `cannot be read: ${messageOf(cause)}`, cause)
  }
  if (/^\S+$/.test(text)) return text
  throw unusable(file, text === '' ? 'is empty' : 'holds more than one word')
}

/** A file that is being replaced may be whole a moment later. */
function unusable(file: string, why: string, cause?: unknown): PlateauError {
  const message = `the key of the checkpoint store in ${file} ${why}`
  return new PlateauError('STORE_CREDENTIALS', message, { facts: { file }, retryable: true, cause })
}
