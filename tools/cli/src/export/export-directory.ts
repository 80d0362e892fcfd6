import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, PlateauError } from '@plateau/contracts'
import { lockDirectory } from './directory-lock.js'
import { fileName, parseFileName, TEMPORARY, temporaryName, type CoveredRange } from './file-names.js'

/** What the files of a directory are, written once, when it is begun. */
export interface Manifest {
  readonly format: 1
  readonly topic: string
  readonly messageType: string
  readonly rows: string
  readonly eventLog: string
  readonly begunAt: string
  /** As given to --from. */
  readonly from: string
  /** Where partitions without a file begin: `latest` at the time, or the earliest. */
  readonly starts: Readonly<Record<string, number>>
  readonly columns: readonly { readonly name: string; readonly type: string; readonly meaning: string }[]
}

/** Readers of Parquet data sets pass over names that begin with an underscore or a dot. */
const MANIFEST = '_export.json'
const README = '_README.md'

/**
 * The files of an export. A file appears whole under its final name, or not at all; its name says which offsets it
 * covers, so the names alone say where to go on.
 */
export class ExportDirectory {
  readonly path: string
  readonly manifest: Manifest
  readonly #lock: { release(): void }
  /** Complete files by partition, in offset order. */
  readonly #files = new Map<number, CoveredRange[]>()

  private constructor(path: string, manifest: Manifest, lock: { release(): void }, files: readonly CoveredRange[]) {
    this.path = path
    this.manifest = manifest
    this.#lock = lock
    for (const file of files.toSorted((a, b) => a.first - b.first)) this.#add(file)
  }

  /**
   * Opens the directory for writing, beginning it with what `begin` returns when it is new or empty. Throws
   * EXPORT_RUNNING while another process writes there, EXPORT_DIRECTORY when it is something else.
   */
  static async open(
    path: string,
    begin: () => Promise<{ readonly manifest: Manifest; readonly readme: string }>,
  ): Promise<ExportDirectory> {
    await mkdir(path, { recursive: true })
    const lock = lockOrExplain(path, await readdir(path))
    try {
      const names = await readdir(path)
      const manifest = names.includes(MANIFEST) ? await readManifest(path) : await beginDirectory(path, begin)
      // Nobody else writes here: what is left of a write is of a process that died.
      const left = names.filter((name) => name.startsWith(TEMPORARY))
      await Promise.all(left.map((name) => rm(join(path, name), { force: true })))
      const files = names.map(parseFileName).filter((file) => file !== undefined)
      return new ExportDirectory(path, manifest, lock, files)
    } catch (error) {
      lock.release()
      throw error
    }
  }

  /** The offset after the last one that a file covers; undefined when the partition has no file. */
  nextOffset(partition: number): number | undefined {
    const last = this.#files.get(partition)?.at(-1)?.last
    return last === undefined ? undefined : last + 1
  }

  /** Paths of the partition's files, newest first. */
  newestFiles(partition: number): string[] {
    return (this.#files.get(partition) ?? []).map((file) => join(this.path, fileName(file))).toReversed()
  }

  /** Durable when it resolves. */
  async write(range: CoveredRange, bytes: Uint8Array): Promise<string> {
    const name = fileName(range)
    await writeWhole(this.path, name, bytes)
    this.#add(range)
    return name
  }

  close(): void {
    this.#lock.release()
  }

  #add(file: CoveredRange): void {
    const files = this.#files.get(file.partition) ?? []
    const previous = files.at(-1)
    if (previous !== undefined && file.first <= previous.last) {
      throw new PlateauError(
        'EXPORT_DIRECTORY',
        `${fileName(previous)} and ${fileName(file)} in ${this.path} cover the same offsets: remove one of them`,
      )
    }
    files.push(file)
    this.#files.set(file.partition, files)
  }
}

function lockOrExplain(path: string, names: readonly string[]): { release(): void } {
  const isOurs = names.every((name) => name.startsWith('.') || name === README || name === MANIFEST)
  if (!isOurs && !names.includes(MANIFEST)) {
    throw new PlateauError('EXPORT_DIRECTORY', `${path} holds other files and no ${MANIFEST}: give an empty directory`)
  }
  return lockDirectory(path)
}

async function beginDirectory(
  path: string,
  begin: () => Promise<{ readonly manifest: Manifest; readonly readme: string }>,
): Promise<Manifest> {
  const { manifest, readme } = await begin()
  await writeWhole(path, README, Buffer.from(readme))
  // Last: with it the directory is one of ours.
  await writeWhole(path, MANIFEST, Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`))
  return manifest
}

async function readManifest(path: string): Promise<Manifest> {
  const file = join(path, MANIFEST)
  try {
    const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest
    if (manifest.format !== 1) throw new TypeError(`its format is ${String(manifest.format)}, known is 1`)
    return manifest
  } catch (cause) {
    throw new PlateauError('EXPORT_DIRECTORY', `${file} is no manifest of an export: ${messageOf(cause)}`, { cause })
  }
}

/** Written under another name, flushed, renamed, and the renaming flushed. */
async function writeWhole(directory: string, name: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(directory, temporaryName(name))
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, join(directory, name))
  const parent = await open(directory)
  try {
    await parent.sync()
  } finally {
    await parent.close()
  }
}
