import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, readdir, realpath, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { messageOf, PlateauError, type ErrorFacts } from '@plateau/contracts'
import type { CheckpointStore, StoreAccess, StoredFile } from './checkpoint-store.js'
import {
  epochOf,
  fenced,
  lineageName,
  mustBeVersion,
  notFound,
  pathUnsafe,
  statePath,
  tooLarge,
  versionExists,
  versionOf,
  versionPath,
} from './store-names.js'

/** Checkpoints in a folder that the trainer and its readers share. */
export function fileStore(root: string): CheckpointStore {
  return new FileStore(resolve(root))
}

const MOST_TRIES = 5

class FileStore implements CheckpointStore {
  readonly where: string

  constructor(root: string) {
    this.where = root
  }

  async put(lineage: string, version: number, files: readonly StoredFile[], signal?: AbortSignal): Promise<void> {
    mustBeVersion(lineage, version, files)
    const final = this.inside(versionPath(lineage, version))
    const parent = dirname(final)
    const temporary = join(parent, `.incoming-${randomUUID()}`)
    try {
      await mkdir(temporary, { recursive: true })
      const folders = new Set([temporary])
      for (const file of files) {
        signal?.throwIfAborted()
        const path = join(temporary, file.path)
        await mkdir(dirname(path), { recursive: true })
        folders.add(dirname(path))
        await writeDurably(path, file.bytes)
      }
      for (const folder of folders) await syncFolder(folder)
      signal?.throwIfAborted()
      // Renaming onto a folder that is not empty fails: a version is never replaced.
      await rename(temporary, final)
      await syncFolder(parent)
    } catch (thrown) {
      await rm(temporary, { recursive: true, force: true }).catch(() => {})
      signal?.throwIfAborted()
      if (hasCode(thrown, 'ENOTEMPTY') || hasCode(thrown, 'EEXIST')) throw versionExists(lineage, version, this.where)
      const what = `version ${version} of lineage ${lineage} could not be written`
      throw this.failure('CHECKPOINT_NOT_WRITTEN', what, { lineage, version }, thrown)
    }
  }

  async read(path: string, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const file = this.inside(path)
    try {
      signal?.throwIfAborted()
      // A link could lead out of the store after the name was checked.
      const real = await realpath(file)
      if (!real.startsWith((await realpath(this.where)) + sep)) throw pathUnsafe(path)
      return await readAtMost(real, path, maxBytes, signal)
    } catch (thrown) {
      signal?.throwIfAborted()
      if (thrown instanceof PlateauError) throw thrown
      if (isMissing(thrown)) throw notFound(path, this.where, thrown)
      throw this.failure('CHECKPOINT_UNREADABLE', `${path} cannot be read`, { path }, thrown)
    }
  }

  async versions(lineage: string, signal?: AbortSignal): Promise<number[]> {
    signal?.throwIfAborted()
    const names = await this.names(lineageName(lineage))
    return names.flatMap((name) => versionOf(name) ?? []).toSorted((a, b) => a - b)
  }

  async remove(lineage: string, version: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const folder = this.inside(versionPath(lineage, version))
    const doomed = join(dirname(folder), `.removed-${randomUUID()}`)
    try {
      // Out of sight in one step: a reader sees the whole version or none of it.
      await rename(folder, doomed)
      await rm(doomed, { recursive: true, force: true })
    } catch (thrown) {
      if (isMissing(thrown)) return
      const what = `version ${version} of lineage ${lineage} could not be removed`
      throw this.failure('CHECKPOINT_NOT_REMOVED', what, { lineage, version }, thrown)
    }
  }

  async putState(lineage: string, name: string, bytes: Uint8Array, epoch: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const final = this.inside(statePath(lineage, name, epoch))
    const temporary = `${final}.${randomUUID()}`
    const epochs = await this.epochs(lineage, name)
    const latest = Math.max(...epochs, 0)
    if (latest > epoch) throw fenced(lineage, name, epoch, latest)
    try {
      await mkdir(dirname(final), { recursive: true })
      await writeDurably(temporary, bytes)
      await rename(temporary, final)
      await syncFolder(dirname(final))
      for (const earlier of epochs.filter((other) => other < epoch)) {
        await rm(this.inside(statePath(lineage, name, earlier)), { force: true })
      }
    } catch (thrown) {
      await rm(temporary, { force: true }).catch(() => {})
      const what = `the state ${name} of lineage ${lineage} could not be written`
      throw this.failure('STATE_NOT_WRITTEN', what, { lineage, name }, thrown)
    }
  }

  async readState(lineage: string, name: string, signal?: AbortSignal): Promise<Buffer | undefined> {
    for (let tries = 1; ; tries++) {
      const epochs = await this.epochs(lineage, name)
      if (epochs.length === 0) return undefined
      try {
        return await this.read(statePath(lineage, name, Math.max(...epochs)), Number.MAX_SAFE_INTEGER, signal)
      } catch (thrown) {
        // Removed since it was listed: a later one is there.
        const isRemoved = thrown instanceof PlateauError && thrown.code === 'CHECKPOINT_NOT_FOUND'
        if (!isRemoved || tries === MOST_TRIES) throw thrown
      }
    }
  }

  /** A folder that is not there yet is an empty store. */
  async check(access: StoreAccess, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (access === 'read') return void (await this.names('.'))
    const probe = join(this.where, `.probe-${randomUUID()}`)
    try {
      await mkdir(this.where, { recursive: true })
      await writeDurably(probe, Buffer.alloc(0))
      await rm(probe)
    } catch (thrown) {
      throw this.failure('CHECKPOINT_NOT_WRITTEN', `${this.where} cannot be written to`, {}, thrown)
    }
  }

  /** Those that have a state of this name. */
  private async epochs(lineage: string, name: string): Promise<number[]> {
    const names = await this.names(dirname(statePath(lineage, name, 0)))
    return names.flatMap((found) => epochOf(found, name) ?? [])
  }

  /** Of what is in a folder; none where the folder is not there. */
  private async names(folder: string): Promise<string[]> {
    try {
      return await readdir(join(this.where, folder))
    } catch (thrown) {
      if (isMissing(thrown)) return []
      throw this.failure('CHECKPOINT_UNREADABLE', `${join(this.where, folder)} cannot be listed`, { folder }, thrown)
    }
  }

  private inside(path: string): string {
    const absolute = resolve(this.where, path)
    if (!absolute.startsWith(this.where + sep)) throw pathUnsafe(path)
    return absolute
  }

  /** A disk that is full or away may be there again. */
  private failure(code: string, what: string, facts: ErrorFacts, cause: unknown): PlateauError {
    const message = `${what}: ${messageOf(cause)}`
    return new PlateauError(code, message, { facts: { ...facts, root: this.where }, retryable: true, cause })
  }
}

async function readAtMost(
  file: string,
  path: string,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY)
  try {
    const { size } = await handle.stat()
    if (size > maxBytes) throw tooLarge(path, size, maxBytes)
    return await handle.readFile(signal === undefined ? {} : { signal })
  } finally {
    await handle.close()
  }
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'wx', 0o644)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes the names in a folder durable, not only the files' contents. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function isMissing(thrown: unknown): boolean {
  return hasCode(thrown, 'ENOENT') || hasCode(thrown, 'ENOTDIR')
}

function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code
}
