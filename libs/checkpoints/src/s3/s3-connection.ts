import type { GetObjectCommandOutput, HeadObjectCommandOutput, S3Client } from '@aws-sdk/client-s3'
import { messageOf, PlateauError } from '@plateau/contracts'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { notFound, tooLarge } from '../store-names.js'
import { credentialsFromFiles } from './credential-files.js'
import { brokenOff, isBodyAtFault, isConditionFailed, isMissing, s3Failure } from './s3-errors.js'
import { standardTiming, type S3Options, type S3Timing } from './s3-options.js'

type Sdk = typeof import('@aws-sdk/client-s3')

interface Client {
  readonly sdk: Sdk
  readonly s3: S3Client
}

export interface FoundObject {
  readonly key: string
  readonly bytes: number
  readonly etag: string
  readonly writtenMs: number
}

/** Under which an object is written. */
export type Condition = { readonly kind: 'new' } | { readonly kind: 'replaces'; readonly etag: string }

/** A body that broke off is asked for again. */
const BODY_TRIES = 3
/** Longest that a body keeps the thread to itself. */
const TURN_MS = 1
/** What S3 answers when two conditional writes of one key meet: neither of them, or one, was carried out. */
const CONFLICT_TRIES = 5

/**
 * A bucket below a prefix, by the AWS SDK: it signs, sends checksums and checks them, and tries again with growing pauses
 * what may pass. Here are the limits (time, bytes), and what its errors mean. The SDK is loaded with the first request: 300 ms
 * and 30 MB that a process with a directory does not pay.
 */
export class S3Connection {
  readonly where: string
  readonly #options: S3Options
  readonly #timing: S3Timing
  #client: Promise<Client> | undefined

  constructor(options: S3Options) {
    const { bucket, prefix, endpoint, timing } = options
    this.#options = options
    this.#timing = { ...standardTiming, ...timing }
    const path = `s3://${bucket}/${prefix}`.replace(/\/$/, '')
    this.where = endpoint === undefined ? path : `${path} at ${endpoint}`
  }

  /**
   * False when the condition does not hold. The server checks the SHA-256 before it keeps anything. A request of ours
   * whose answer was lost and that was sent again counts as done.
   */
  async write(key: string, bytes: Uint8Array, condition: Condition, signal?: AbortSignal): Promise<boolean> {
    const sha256 = sha256Of(bytes)
    const when = condition.kind === 'new' ? { IfNoneMatch: '*' } : { IfMatch: condition.etag }
    for (let tries = 1; ; tries++) {
      try {
        await this.#request('write', key, bytes.length, signal, ({ sdk, s3 }, abortSignal) =>
          s3.send(new sdk.PutObjectCommand({ ...this.#address(key), Body: bytes, ChecksumSHA256: sha256, ...when }), {
            abortSignal,
          }),
        )
        return true
      } catch (error) {
        if (!isConditionFailed(error)) throw error
        if (await this.holds(key, bytes, signal)) return true
        // A conflict says nothing yet; a condition that failed does.
        if (error.facts['status'] !== 409 || tries === CONFLICT_TRIES) return false
      }
    }
  }

  /** Whether it is there with these very bytes, by its checksum. */
  async holds(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<boolean> {
    const found = await this.#head(key, signal)
    return found?.ChecksumSHA256 === sha256Of(bytes) && found.ContentLength === bytes.length
  }

  /** Its checksum is checked, where it was written with one. Throws CHECKPOINT_NOT_FOUND, CHECKPOINT_TOO_LARGE, CHECKPOINT_DAMAGED. */
  async read(key: string, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#readOnce(key, maxBytes, signal)
      } catch (error) {
        if (isMissing(error)) throw notFound(key, this.where, error)
        if (tries === BODY_TRIES || !isBodyAtFault(error)) throw error
      }
    }
  }

  /** All whose key begins like that, in the order of their names; `most` ends the listing early. */
  async list(keyPrefix: string, signal?: AbortSignal, most = Number.MAX_SAFE_INTEGER): Promise<FoundObject[]> {
    const { bucket, prefix } = this.#options
    const found: FoundObject[] = []
    for (let next: string | undefined; ;) {
      const page = await this.#request('list', keyPrefix, 0, signal, ({ sdk, s3 }, abortSignal) => {
        const about = { Bucket: bucket, Prefix: prefix + keyPrefix, MaxKeys: Math.min(most, 1000) }
        return s3.send(new sdk.ListObjectsV2Command({ ...about, ContinuationToken: next }), { abortSignal })
      })
      for (const { Key = '', Size = 0, ETag = '', LastModified } of page.Contents ?? []) {
        const key = Key.slice(prefix.length)
        found.push({ key, bytes: Size, etag: ETag, writtenMs: LastModified?.getTime() ?? Number.NaN })
      }
      next = page.NextContinuationToken
      if (next === undefined || found.length >= most) return found
    }
  }

  /** Idempotent. */
  async remove(key: string, signal?: AbortSignal): Promise<void> {
    await this.#request('remove', key, 0, signal, ({ sdk, s3 }, abortSignal) =>
      s3.send(new sdk.DeleteObjectCommand(this.#address(key)), { abortSignal }),
    )
  }

  async #head(key: string, signal: AbortSignal | undefined): Promise<HeadObjectCommandOutput | undefined> {
    try {
      return await this.#request('look at', key, 0, signal, ({ sdk, s3 }, abortSignal) =>
        s3.send(new sdk.HeadObjectCommand({ ...this.#address(key), ChecksumMode: 'ENABLED' }), { abortSignal }),
      )
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  #readOnce(key: string, maxBytes: number, signal: AbortSignal | undefined): Promise<Buffer> {
    return this.#request('read', key, Math.min(maxBytes, 1024 ** 3), signal, async ({ sdk, s3 }, abortSignal) => {
      const about = { ...this.#address(key), ChecksumMode: 'ENABLED' } as const
      return bodyOf(await s3.send(new sdk.GetObjectCommand(about), { abortSignal }), key, maxBytes, abortSignal)
    })
  }

  #address(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#options.prefix + key }
  }

  async #request<T>(
    verb: string,
    key: string,
    bytes: number,
    signal: AbortSignal | undefined,
    send: (client: Client, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    const { requestMs, slowestBytesPerSecond } = this.#timing
    const late = AbortSignal.timeout(requestMs + Math.ceil((bytes / slowestBytesPerSecond) * 1000))
    try {
      const client = await this.#connect()
      return await send(client, signal === undefined ? late : AbortSignal.any([signal, late]))
    } catch (error) {
      signal?.throwIfAborted()
      const what = `${verb} ${key === '' ? 'what is' : key} in ${this.where}`
      if (!late.aborted) throw s3Failure(error, what, this.#options)
      throw new PlateauError('STORE_UNAVAILABLE', `could not ${what}: no whole answer within its time`, {
        facts: { key, where: this.where },
        retryable: true,
        cause: error,
      })
    }
  }

  #connect(): Promise<Client> {
    this.#client ??= connect(this.#options, this.#timing).catch((error: unknown) => {
      this.#client = undefined
      throw error
    })
    return this.#client
  }
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}

async function connect(options: S3Options, timing: S3Timing): Promise<Client> {
  const sdk = await import('@aws-sdk/client-s3')
  const { endpoint, region, credentials, caFile } = options
  const ca = caFile === undefined ? {} : { ca: await readCa(caFile) }
  const s3 = new sdk.S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(credentials === undefined ? {} : { credentials: credentialsFromFiles(credentials) }),
    maxAttempts: timing.attempts,
    retryMode: 'standard',
    // Only where we ask for one: SHA-256.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Said here, or the SDK would look for it in the environment and in files of the home folder.
    ignoreConfiguredEndpointUrls: true,
    useFipsEndpoint: false,
    useDualstackEndpoint: false,
    requestHandler: {
      connectionTimeout: timing.connectMs,
      socketTimeout: timing.idleMs,
      // Agents of its own: no proxy of the environment stands between us and a store inside the cluster.
      httpAgent: { keepAlive: true, maxSockets: 16 },
      httpsAgent: { keepAlive: true, maxSockets: 16, ...ca },
    },
  })
  return { sdk, s3 }
}

async function readCa(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const message = `the authorities of the checkpoint store in ${file} cannot be read: ${messageOf(cause)}`
    throw new PlateauError('STORE_CERTIFICATE', message, { facts: { file }, retryable: true, cause })
  }
}

/** No byte is kept beyond maxBytes, whatever the server says or sends. */
async function bodyOf(
  { Body, ContentLength = 0 }: GetObjectCommandOutput,
  key: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const body = Body as Readable
  const stop = (): void => void body.destroy(new Error('given up'))
  try {
    if (ContentLength > maxBytes) throw tooLarge(key, ContentLength, maxBytes)
    signal.addEventListener('abort', stop)
    // Not of the pool that small buffers share: it is handed over to another thread.
    const bytes = Buffer.allocUnsafeSlow(ContentLength)
    let filled = 0
    let turnMs = performance.now()
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (filled + chunk.length > bytes.length) throw tooLarge(key, filled + chunk.length, ContentLength)
      filled += chunk.copy(bytes, filled)
      // Chunks that have arrived come without a pause between them: whoever is served by this thread must not wait for all.
      if (performance.now() - turnMs < TURN_MS) continue
      await turn()
      turnMs = performance.now()
    }
    if (filled < bytes.length) throw new Error(`only ${filled} of ${ContentLength} bytes came`)
    return bytes
  } catch (error) {
    throw brokenOff(error, key)
  } finally {
    signal.removeEventListener('abort', stop)
    body.destroy()
  }
}
