/** What a broker's folder has decided: written by its first start, the same ever after. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KafkaDevError } from './errors.js'

export type Security = 'plaintext' | 'sasl_ssl'

export interface KafkaUser {
  readonly name: string
  readonly password: string
}

/** Every listener has a port of its own. The last two exist with `sasl_ssl` only. */
export interface Ports {
  readonly client: number
  readonly controller: number
  readonly internal: number
  readonly mtls?: number
  readonly oauth?: number
}

export interface Voter {
  readonly nodeId: number
  readonly controllerPort: number
  readonly directoryId: string
}

export interface NodeSettings {
  readonly nodeId: number
  readonly clusterId: string
  readonly ports: Ports
  readonly voters: readonly Voter[]
  readonly security: Security
  readonly users: readonly KafkaUser[]
  readonly heapMb: number
  readonly extraProperties: Readonly<Record<string, string>>
}

export const settingsFile = 'settings.json'

export function readSettings(directory: string): NodeSettings | undefined {
  const file = join(directory, settingsFile)
  if (!existsSync(file)) return undefined
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as NodeSettings
  } catch (cause) {
    throw new KafkaDevError('WRONG_FOLDER', `${file} cannot be read; is ${directory} a broker's folder?`, { cause })
  }
}

/** Replaced at once: a reader never sees half of it. */
export function writeSettings(directory: string, settings: NodeSettings): void {
  const file = join(directory, settingsFile)
  writeFileSync(`${file}.new`, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}
