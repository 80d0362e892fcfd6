import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, readdir, realpath, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { messageOf, PlateauError } from '@plateau/contracts'
import { versionPath, type CheckpointStore, type StoredFile } from './checkpoint-store.js'

/** Checkpoints in a folder that the trainer and its readers share. */
export function fileStore(root: string): CheckpointStore {
  return new FileStore(resolve(root))
}

const VERSION_FOLDER = /^v(\d{8,})$/
const MOST_TRIES = 5
const STATE_EPOCH = /^\.e(\d{10,})$/

class FileStore implements CheckpointStore {
  private readonly root: string

  constructor(root: string) {
    this.root = root
  }

  async put(lineage: string, version: number, files: readonly StoredFile[]): Promise<void> {
    const final = this.inside(versionPath(lineageName(lineage), version))
    const parent = dirname(final)
    const temporary = join(parent, `.incoming-${randomUUID()}`)
    await mkdir(temporary, { recursive: true })
    try {
      const folders = new Set([temporary])
      for (const file of files) {
        const path = join(temporary, file.path)
        await mkdir(dirname(path), { recursive: true })
        folders.add(dirname(path))
        await writeDurably(path, file.bytes)
      }
      for (const folder of folders) await syncFolder(folder)
      // Renaming onto a folder that is not empty fails: a version is never replaced.
      await rename(temporary, final)
      await syncFolder(parent)
    } catch (thrown) {
      await rm(temporary, { recursive: true, force: true })
      if (hasCode(thrown, 'ENOTEMPTY') || hasCode(thrown, 'EEXIST')) {
        throw new PlateauError(
          'CHECKPOINT_EXISTS',
          `version ${version} of lineage ${lineage} exists already in ${this.root}`,
          {
            facts: { lineage, version, root: this.root },
            cause: thrown,
          },
        )
      }
      throw new PlateauError(
        'CHECKPOINT_NOT_WRITTEN',
        `version ${version} of lineage ${lineage} could not be written: ${messageOf(thrown)}`,
        {
          facts: { lineage, version, root: this.root },
          retryable: true,
          cause: thrown,
        },
      )
    }
  }

  async read(path: string, maxBytes: number): Promise<Buffer> {
    const file = this.inside(path)
    try {
      // A link could lead out of the store after the name was checked.
      const real = await realpath(file)
      if (!real.startsWith((await realpath(this.root)) + sep)) throw unsafe(path)
      return await readAtMost(real, path, maxBytes)
    } catch (thrown) {
      if (thrown instanceof PlateauError) throw thrown
      const missing = hasCode(thrown, 'ENOENT') || hasCode(thrown, 'ENOTDIR')
      throw new PlateauError(
        missing ? 'CHECKPOINT_NOT_FOUND' : 'CHECKPOINT_UNREADABLE',
        missing
          ? `${path} is not in the checkpoint store ${this.root}`
          : `${path} cannot be read: ${messageOf(thrown)}`,
        { facts: { path, root: this.root }, retryable: !missing, cause: thrown },
      )
    }
  }

  async versions(lineage: string): Promise<number[]> {
    const names = await readdir(this.inside(lineageName(lineage))).catch((thrown: unknown) => {
      if (hasCode(thrown, 'ENOENT')) return []
      throw thrown
    })
    return names
      .flatMap((name) => VERSION_FOLDER.exec(name)?.[1] ?? [])
      .map(Number)
      .toSorted((a, b) => a - b)
  }

  async remove(lineage: string, version: number): Promise<void> {
    const folder = this.inside(versionPath(lineageName(lineage), version))
    const doomed = join(dirname(folder), `.removed-${randomUUID()}`)
    try {
      // Out of sight in one step: a reader sees the whole version or none of it.
      await rename(folder, doomed)
    } catch (thrown) {
      if (hasCode(thrown, 'ENOENT')) return
      throw thrown
    }
    await rm(doomed, { recursive: true, force: true })
  }

  async putState(lineage: string, name: string, bytes: Uint8Array, epoch: number): Promise<void> {
    const final = this.inside(statePath(lineage, name, epoch))
    const temporary = `${final}.${randomUUID()}`
    const epochs = await this.epochs(lineage, name)
    const latest = Math.max(...epochs, 0)
    if (latest > epoch) throw fenced(lineage, name, epoch, latest)
    await mkdir(dirname(final), { recursive: true })
    try {
      await writeDurably(temporary, bytes)
      await rename(temporary, final)
      await syncFolder(dirname(final))
    } catch (thrown) {
      await rm(temporary, { force: true })
      throw new PlateauError(
        'STATE_NOT_WRITTEN',
        `the state ${name} of lineage ${lineage} could not be written: ${messageOf(thrown)}`,
        {
          facts: { lineage, name, root: this.root },
          retryable: true,
          cause: thrown,
        },
      )
    }
    for (const earlier of epochs.filter((other) => other < epoch)) {
      await rm(this.inside(statePath(lineage, name, earlier)), { force: true })
    }
  }

  async readState(lineage: string, name: string): Promise<Buffer | undefined> {
    for (let tries = 1; ; tries++) {
      const epochs = await this.epochs(lineage, name)
      if (epochs.length === 0) return undefined
      try {
        return await this.read(statePath(lineage, name, Math.max(...epochs)), Number.MAX_SAFE_INTEGER)
      } catch (thrown) {
        // Removed since it was listed: a later one is there.
        const isRemoved = thrown instanceof PlateauError && thrown.code === 'CHECKPOINT_NOT_FOUND'
        if (!isRemoved || tries === MOST_TRIES) throw thrown
      }
    }
  }

  /** Those that have a state of this name. */
  private async epochs(lineage: string, name: string): Promise<number[]> {
    const folder = dirname(this.inside(statePath(lineage, name, 0)))
    const names = await readdir(folder).catch((thrown: unknown) => {
      if (hasCode(thrown, 'ENOENT')) return []
      throw thrown
    })
    return names
      .map((found) =>
        found === name ? 0 : Number(STATE_EPOCH.exec(found.startsWith(name) ? found.slice(name.length) : '')?.[1]),
      )
      .filter((epoch) => !Number.isNaN(epoch))
  }

  private inside(path: string): string {
    const absolute = resolve(this.root, path)
    if (!absolute.startsWith(this.root + sep)) throw unsafe(path)
    return absolute
  }
}

/** Epoch 0 has the bare name. */
function statePath(lineage: string, name: string, epoch: number): string {
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(name)) throw unsafe(name)
  const suffix = epoch === 0 ? '' : `.e${String(epoch).padStart(10, '0')}`
  return `${lineageName(lineage)}/state/${name}${suffix}`
}

function fenced(lineage: string, name: string, epoch: number, latest: number): PlateauError {
  return new PlateauError(
    'STATE_FENCED',
    `the state ${name} of lineage ${lineage} has a writer of epoch ${latest}: epoch ${epoch} may not replace it`,
    { facts: { lineage, name, epoch, latest } },
  )
}

function lineageName(lineage: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(lineage)) return lineage
  throw new PlateauError(
    'LINEAGE_INVALID',
    `${JSON.stringify(lineage)} is not a lineage: use letters, digits, dots, dashes`,
    {
      facts: { lineage },
    },
  )
}

function unsafe(path: string): PlateauError {
  return new PlateauError('CHECKPOINT_PATH_UNSAFE', `${JSON.stringify(path)} leads out of the checkpoint store`, {
    facts: { path },
  })
}

async function readAtMost(file: string, path: string, maxBytes: number): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY)
  try {
    const { size } = await handle.stat()
    if (size > maxBytes) {
      throw new PlateauError('CHECKPOINT_TOO_LARGE', `${path} has ${size} bytes, more than the ${maxBytes} expected`, {
        facts: { path, bytes: size, maxBytes },
      })
    }
    return await handle.readFile()
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

function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code
}
