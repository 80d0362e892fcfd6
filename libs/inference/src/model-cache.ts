/**
 * Built models on disk, each in a folder named by what it was built from. A folder appears whole or not at all: it is
 * built under another name and renamed, so that neither a second process nor a kill leaves half a model. A model whose
 * files do not have the sizes that were written down is built anew.
 */
import { PlateauError, messageOf } from '@plateau/contracts'
import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'

export interface ModelCache {
  /** Made when it is first needed. Shared by any number of processes. */
  readonly directory: string
  /** Least recently used models are removed beyond it. The newest stays, whatever its size. Default 16 GiB. */
  readonly maxBytes?: number
}

/** What the builder wants to remember: plain JSON. */
export type EntryFacts = Readonly<Record<string, number | string>>

export interface CachedModel {
  readonly directory: string
  readonly facts: EntryFacts
  readonly fromCache: boolean
}

const entryFile = 'entry.json'
const unfinished = '.building-'
const defaultMaxBytes = 16 * 2 ** 30
/** A build writes all the time; one that has not for so long was killed. */
const abandonedAfterMs = 10 * 60_000

/**
 * The model under this key, built first where it is missing or damaged.
 *
 * @param key names a file: letters, digits, dashes
 * @param build writes the model's files into the folder; they are synced when it resolves
 */
export async function cachedModel(
  cache: ModelCache,
  key: string,
  build: (directory: string) => Promise<EntryFacts>,
): Promise<CachedModel> {
  const directory = join(cache.directory, key)
  try {
    const known = await openEntry(directory)
    if (known !== undefined) return { directory, facts: known.facts, fromCache: true }
    await addEntry(cache, directory, build)
    const built = await openEntry(directory)
    if (built === undefined) throw new Error(`${directory} is not what was written a moment ago`)
    await removeLeastRecentlyUsed(cache, key)
    return { directory, facts: built.facts, fromCache: false }
  } catch (cause) {
    if (cause instanceof PlateauError || !isFileError(cause)) throw cause
    throw new PlateauError(
      'MODEL_CACHE_UNUSABLE',
      `The built model could not be kept in ${cache.directory}: ${messageOf(cause)}. Choose a folder that can be ` +
        'written, on a disk with room for the model.',
      { facts: { directory: cache.directory }, cause },
    )
  }
}

/** For a model that the engine refused although its sizes are right. */
export async function forgetModel(cache: ModelCache, key: string): Promise<void> {
  await removeEntry(join(cache.directory, key))
}

interface Entry {
  readonly facts: EntryFacts
  readonly files: Readonly<Record<string, number>>
}

/** Marks the entry as used. Undefined where it is missing; a damaged one is removed. */
async function openEntry(directory: string): Promise<Entry | undefined> {
  const entry = await readEntry(directory)
  if (entry === undefined) {
    await removeEntry(directory)
    return undefined
  }
  const now = new Date()
  await utimes(join(directory, entryFile), now, now).catch(() => undefined)
  return entry
}

async function readEntry(directory: string): Promise<Entry | undefined> {
  try {
    const entry = JSON.parse(await readFile(join(directory, entryFile), 'utf8')) as Entry
    for (const [name, size] of Object.entries(entry.files)) {
      if ((await stat(join(directory, name))).size !== size) return undefined
    }
    return entry
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError || isMissing(error)) return undefined
    throw error
  }
}

async function addEntry(
  cache: ModelCache,
  directory: string,
  build: (directory: string) => Promise<EntryFacts>,
): Promise<void> {
  await mkdir(cache.directory, { recursive: true })
  await removeAbandoned(cache.directory)
  const building = join(cache.directory, `${unfinished}${randomUUID()}`)
  await mkdir(building)
  try {
    const facts = await build(building)
    await writeSynced(
      join(building, entryFile),
      JSON.stringify({ facts, files: await sizesOf(building) } satisfies Entry),
    )
    await rename(building, directory)
  } catch (error) {
    await rm(building, { recursive: true, force: true })
    // Another process was faster, and what it built is the same.
    if (!isOccupied(error)) throw error
  }
}

async function sizesOf(directory: string): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {}
  for (const name of await readdir(directory)) sizes[name] = (await stat(join(directory, name))).size
  return sizes
}

/** Out of sight first: a removal that is interrupted leaves nothing under the entry's name. */
async function removeEntry(directory: string): Promise<void> {
  const away = join(directory, '..', `${unfinished}${randomUUID()}`)
  try {
    await rename(directory, away)
  } catch (error) {
    if (isMissing(error)) return
    throw error
  }
  await rm(away, { recursive: true, force: true })
}

async function removeAbandoned(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(unfinished)) continue
    const path = join(directory, name)
    if (Date.now() - (await lastChangeMs(path)) > abandonedAfterMs) await rm(path, { recursive: true, force: true })
  }
}

async function lastChangeMs(directory: string): Promise<number> {
  const paths = [directory, ...(await readdir(directory).catch(() => [])).map((name) => join(directory, name))]
  const times = await Promise.all(
    paths.map((path) =>
      stat(path)
        .then((found) => found.mtimeMs)
        .catch(() => 0),
    ),
  )
  return Math.max(...times)
}

async function removeLeastRecentlyUsed({ directory, maxBytes = defaultMaxBytes }: ModelCache, keep: string) {
  const entries: { readonly path: string; readonly bytes: number; readonly usedMs: number }[] = []
  let total = 0
  for (const name of await readdir(directory)) {
    const path = join(directory, name)
    const entry = name.startsWith(unfinished) ? undefined : await readEntry(path)
    if (entry === undefined) continue
    const bytes = Object.values(entry.files).reduce((sum, size) => sum + size, 0)
    total += bytes
    if (name !== keep) entries.push({ path, bytes, usedMs: (await stat(join(path, entryFile))).mtimeMs })
  }
  entries.sort((a, b) => a.usedMs - b.usedMs)
  for (const { path, bytes } of entries) {
    if (total <= maxBytes) return
    await removeEntry(path)
    total -= bytes
  }
}

/** Writes a new file; it is on the disk when this resolves. */
export async function writeSynced(path: string, content: Uint8Array | string): Promise<void> {
  const file = await open(path, 'wx')
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException | undefined)?.code
const isMissing = (error: unknown) => codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR'
const isOccupied = (error: unknown) => ['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(codeOf(error) ?? '')
const isFileError = (error: unknown) =>
  codeOf(error) !== undefined && (error as NodeJS.ErrnoException).syscall !== undefined
