import { PlateauError } from '@plateau/contracts'
import { randomUUID } from 'node:crypto'
import type { CheckpointStore, StoreAccess, StoredFile } from '../checkpoint-store.js'
import { MANIFEST_FILE, SIGNATURE_FILE } from '../manifest.js'
import {
  epochOf,
  fenced,
  lineageName,
  mustBeVersion,
  pathUnsafe,
  statePath,
  versionExists,
  versionOf,
  versionPath,
} from '../store-names.js'
import { S3Connection, type FoundObject } from './s3-connection.js'
import type { S3Options } from './s3-options.js'

/**
 * Checkpoints in a bucket, under the same names as in a folder.
 *
 * A version: its signature first, which claims the number (created only where there is none, so of two writers one
 * goes on), then its files, then its manifest, created in the same way. Readers know a version by its manifest, so it is
 * there whole or not at all. What a writer left that died before the manifest is garbage: nobody lists it, its number is
 * passed over, and it is removed once it is two hours old.
 *
 * A state: an object for each writer's epoch, replaced only as it was listed (If-Match), so that a request that was lost on
 * the way cannot arrive later and undo a newer one.
 */
export function s3Store(options: S3Options): CheckpointStore {
  return new S3Store(new S3Connection(options), options.clock ?? Date.now)
}

const MOST_TRIES = 5
/** No put takes so long (4 GiB at the slowest: 70 minutes), and clocks that are further apart than 15 minutes are refused. */
const ABANDONED_MS = 7_200_000

class S3Store implements CheckpointStore {
  readonly #bucket: S3Connection
  readonly #clock: () => number
  /** By its folder, the claim of a version of ours that failed before its manifest was sent: if it is there, all of it is nobody's. */
  readonly #unfinished = new Map<string, StoredFile>()

  constructor(bucket: S3Connection, clock: () => number) {
    this.#bucket = bucket
    this.#clock = clock
  }

  get where(): string {
    return this.#bucket.where
  }

  async put(lineage: string, version: number, files: readonly StoredFile[], signal?: AbortSignal): Promise<void> {
    mustBeVersion(lineage, version, files)
    const folder = versionPath(lineage, version)
    const left = await this.#objectsOf(folder, signal)
    if (left.some(isManifest)) throw versionExists(lineage, version, this.where)
    if (this.#isAbandoned(left) || (await this.#isUnfinished(folder, signal))) await this.#removeAll(left, signal)
    this.#unfinished.delete(folder)
    const ordered = claimFirstManifestLast(files)
    let isManifestSent = false
    try {
      for (const { path, bytes } of ordered) {
        signal?.throwIfAborted()
        isManifestSent ||= path === MANIFEST_FILE
        if (await this.#bucket.write(`${folder}/${path}`, bytes, { kind: 'new' }, signal)) continue
        // Of another writer: the number is gone, and our part of it is theirs to keep or nobody's.
        throw versionExists(lineage, version, this.where, 'is being written, or was left unfinished, by another writer')
      }
    } catch (thrown) {
      const isTaken = thrown instanceof PlateauError && thrown.code === 'CHECKPOINT_EXISTS'
      // A manifest that was sent may have arrived.
      if (!isTaken && !isManifestSent) this.#unfinished.set(folder, ordered[0]!)
      throw thrown
    }
    await this.#removeAbandoned(lineage, version).catch(() => {})
  }

  async read(path: string, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const isInside = path.split('/').every((part) => /^[^\\\0]+$/.test(part) && part !== '.' && part !== '..')
    if (!isInside) throw pathUnsafe(path)
    return this.#bucket.read(path, maxBytes, signal)
  }

  async versions(lineage: string, signal?: AbortSignal): Promise<number[]> {
    const folders = await this.#versionFolders(lineage, signal)
    const complete = folders.filter(({ objects }) => objects.some(isManifest))
    return complete.map(({ version }) => version).toSorted((a, b) => a - b)
  }

  async remove(lineage: string, version: number, signal?: AbortSignal): Promise<void> {
    const objects = await this.#objectsOf(versionPath(lineage, version), signal)
    // Out of sight first.
    await this.#removeAll([...objects.filter(isManifest), ...objects.filter((found) => !isManifest(found))], signal)
  }

  async putState(lineage: string, name: string, bytes: Uint8Array, epoch: number, signal?: AbortSignal): Promise<void> {
    const key = statePath(lineage, name, epoch)
    for (let tries = 1; ; tries++) {
      const states = await this.#states(lineage, name, signal)
      const latest = Math.max(0, ...states.keys())
      if (latest > epoch) throw fenced(lineage, name, epoch, latest)
      const own = states.get(epoch)
      const condition = own === undefined ? ({ kind: 'new' } as const) : ({ kind: 'replaces', etag: own.etag } as const)
      if (await this.#bucket.write(key, bytes, condition, signal)) {
        states.delete(epoch)
        return this.#removeAll([...states.values()], signal)
      }
      if (tries < MOST_TRIES) continue
      throw new PlateauError(
        'STATE_NOT_WRITTEN',
        `the state ${name} of lineage ${lineage} is being replaced by others`,
        {
          facts: { lineage, name, epoch },
          retryable: true,
        },
      )
    }
  }

  async readState(lineage: string, name: string, signal?: AbortSignal): Promise<Buffer | undefined> {
    for (let tries = 1; ; tries++) {
      const states = await this.#states(lineage, name, signal)
      if (states.size === 0) return undefined
      try {
        const latest = statePath(lineage, name, Math.max(...states.keys()))
        return await this.#bucket.read(latest, Number.MAX_SAFE_INTEGER, signal)
      } catch (thrown) {
        // Removed since it was listed: a later one is there.
        const isRemoved = thrown instanceof PlateauError && thrown.code === 'CHECKPOINT_NOT_FOUND'
        if (!isRemoved || tries === MOST_TRIES) throw thrown
      }
    }
  }

  /** 'write' shows that conditions are kept: without them two trainers could write one version. */
  async check(access: StoreAccess, signal?: AbortSignal): Promise<void> {
    if (access === 'read') return void (await this.#bucket.list('', signal, 1))
    const probe = `.probe-${randomUUID()}`
    const write = (text: string, condition: Parameters<S3Connection['write']>[2]): Promise<boolean> =>
      this.#bucket.write(probe, Buffer.from(text), condition, signal)
    await write('first', { kind: 'new' })
    let isIgnored = false
    try {
      isIgnored =
        (await write('second', { kind: 'new' })) ||
        (await write('third', { kind: 'replaces', etag: '"00000000000000000000000000000000"' }))
    } finally {
      await this.#bucket.remove(probe, signal)
    }
    if (!isIgnored) return
    const message = `${this.where} ignores If-None-Match or If-Match: versions would not be safe there. Use a store with conditional writes`
    throw new PlateauError('STORE_NO_CONDITIONS', message, { facts: { where: this.where } })
  }

  #objectsOf(folder: string, signal: AbortSignal | undefined): Promise<FoundObject[]> {
    return this.#bucket.list(`${folder}/`, signal)
  }

  async #versionFolders(
    lineage: string,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly version: number; readonly objects: FoundObject[] }[]> {
    const objects = await this.#bucket.list(`${lineageName(lineage)}/v`, signal)
    const byVersion = Map.groupBy(objects, ({ key }) => versionOf(key.split('/')[1] ?? ''))
    return [...byVersion].flatMap(([version, found]) => (version === undefined ? [] : [{ version, objects: found }]))
  }

  /** Ours, from a try before. */
  async #isUnfinished(folder: string, signal: AbortSignal | undefined): Promise<boolean> {
    const claim = this.#unfinished.get(folder)
    return claim !== undefined && this.#bucket.holds(`${folder}/${claim.path}`, claim.bytes, signal)
  }

  /** By their writers' epochs. */
  async #states(lineage: string, name: string, signal: AbortSignal | undefined): Promise<Map<number, FoundObject>> {
    const objects = await this.#bucket.list(statePath(lineage, name, 0), signal)
    return new Map(
      objects.flatMap((object) => {
        const epoch = epochOf(object.key.split('/').at(-1)!, name)
        return epoch === undefined ? [] : [[epoch, object] as const]
      }),
    )
  }

  /** What writers left before they came to the manifest. */
  async #removeAbandoned(lineage: string, below: number): Promise<void> {
    for (const { version, objects } of await this.#versionFolders(lineage, undefined)) {
      if (version < below && this.#isAbandoned(objects)) await this.#removeAll(objects, undefined)
    }
  }

  #isAbandoned(objects: readonly FoundObject[]): boolean {
    const nowMs = this.#clock()
    return !objects.some(isManifest) && objects.every(({ writtenMs }) => nowMs - writtenMs > ABANDONED_MS)
  }

  async #removeAll(objects: readonly FoundObject[], signal: AbortSignal | undefined): Promise<void> {
    for (const { key } of objects) await this.#bucket.remove(key, signal)
  }
}

function isManifest({ key }: FoundObject): boolean {
  return key.endsWith(`/${MANIFEST_FILE}`)
}

function claimFirstManifestLast(files: readonly StoredFile[]): StoredFile[] {
  const place = ({ path }: StoredFile): number => (path === SIGNATURE_FILE ? 0 : path === MANIFEST_FILE ? 2 : 1)
  return files.toSorted((a, b) => place(a) - place(b))
}
