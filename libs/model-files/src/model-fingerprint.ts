import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { missingFile } from './tensor-file.js'
import { listWeightFiles } from './weight-files.js'

/**
 * SHA-256, hex, over config.json and then every weight file in the order of their names. Each file contributes its name,
 * a line feed, its length in decimal, a line feed, and its bytes. Any change to one of them makes another model.
 */
export async function fingerprintModel(directory: string): Promise<string> {
  const hash = createHash('sha256')
  for (const name of ['config.json', ...(await listWeightFiles(directory))]) await addFile(hash, directory, name)
  return hash.digest('hex')
}

/** SHA-256, hex, over a GGUF file's bytes, as sha256sum prints it. */
export async function fingerprintFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await addBytes(hash, path)
  return hash.digest('hex')
}

/** SHA-256, hex, of tokenizer.json's bytes. A draft can serve a target only where these are equal. */
export function hashTokenizer(json: Uint8Array): string {
  return createHash('sha256').update(json).digest('hex')
}

async function addFile(hash: Hash, directory: string, name: string): Promise<void> {
  const path = join(directory, name)
  try {
    hash.update(`${name}\n${(await stat(path)).size}\n`)
  } catch (cause) {
    throw missingFile(path, cause)
  }
  await addBytes(hash, path)
}

async function addBytes(hash: Hash, path: string): Promise<void> {
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer)
  } catch (cause) {
    throw missingFile(path, cause)
  }
}
