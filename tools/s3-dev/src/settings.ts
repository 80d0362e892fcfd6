import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { S3DevError } from './errors.js'

/** What a server's folder has decided: written by its first start, the same ever after. */
export interface S3Settings {
  readonly port: number
  readonly bucket: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly tls: boolean
}

const settingsFile = 's3-dev.json'

export function readSettings(directory: string): S3Settings | undefined {
  const file = join(directory, settingsFile)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as S3Settings) : undefined
}

export function settingsOf(directory: string): S3Settings {
  const settings = readSettings(directory)
  if (settings === undefined) throw new S3DevError('WRONG_FOLDER', `${directory} holds no S3 server`)
  return settings
}

export function writeSettings(directory: string, settings: S3Settings): void {
  const file = join(directory, settingsFile)
  writeFileSync(`${file}.new`, JSON.stringify(settings, undefined, 2))
  renameSync(`${file}.new`, file)
}
