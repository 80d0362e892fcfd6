import { PlateauError } from '@plateau/contracts'
import type { Logger } from '@plateau/telemetry'
import { readFile, stat } from 'node:fs/promises'
import { parseApiKeys, type ApiKey } from './api-keys.js'

export interface KeysFileOptions {
  readonly path: string
  readonly logger: Logger
  /** Between two looks at the file. */
  readonly intervalMs: number
}

/**
 * The keys of a file that may change while we run. A change that cannot be used keeps the keys that were there and is
 * said once.
 */
export class KeysFile {
  readonly #options: KeysFileOptions
  readonly #timer: NodeJS.Timeout
  #keys: readonly ApiKey[]
  #seen: string
  #looking: Promise<void> = Promise.resolve()

  private constructor(options: KeysFileOptions, keys: readonly ApiKey[], seen: string) {
    this.#options = options
    this.#keys = keys
    this.#seen = seen
    this.#timer = setInterval(() => void this.look(), options.intervalMs).unref()
  }

  /** Throws API_KEYS_INVALID, naming the file, when there are no keys to begin with. */
  static async open(options: KeysFileOptions): Promise<KeysFile> {
    const seen = await stampOf(options.path)
    return new KeysFile(options, await readKeys(options.path), seen)
  }

  get keys(): readonly ApiKey[] {
    return this.#keys
  }

  /** Reads the file again when it has changed; one look after the other. */
  look(): Promise<void> {
    return (this.#looking = this.#looking.then(() => this.#look()))
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
  }

  async #look(): Promise<void> {
    const { path, logger } = this.#options
    const stamp = await stampOf(path)
    if (stamp === this.#seen) return
    // Remembered whether it can be used or not: a broken file is said once, not at every look.
    this.#seen = stamp
    try {
      this.#keys = await readKeys(path)
      logger.info('API keys read again', { path, keys: this.#keys.length })
    } catch (error) {
      logger.error('API keys not read: the earlier ones stay in force', { path, error })
    }
  }
}

async function readKeys(path: string): Promise<ApiKey[]> {
  try {
    return parseApiKeys(await readFile(path, 'utf8'))
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    throw new PlateauError('API_KEYS_INVALID', `${path}: ${problem}`, { facts: { path }, cause })
  }
}

/** Differs when the file does: it may be replaced within one tick of its clock. */
async function stampOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found === undefined ? 'missing' : `${found.mtimeNs}:${found.size}:${found.ino}`
}
