import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { messageOf, PlateauError } from '@plateau/contracts'
import type { ExportedFile } from './export-format.js'

/** Throws EXPORT_DIRECTORY when something is there that is no empty directory. */
export async function mustBeFree(path: string): Promise<void> {
  let names: string[]
  try {
    names = await readdir(path)
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return
    throw new PlateauError('EXPORT_DIRECTORY', `${path} cannot be written to: ${messageOf(cause)}`, { cause })
  }
  if (names.length > 0) throw isTaken(path)
}

/**
 * The directory with these files, whole or not at all: written beside its place, flushed, renamed into it. Throws
 * EXPORT_DIRECTORY when it is not empty; then nothing is changed.
 */
export async function writeNewDirectory(path: string, files: readonly ExportedFile[]): Promise<void> {
  const parent = dirname(path)
  const temporary = join(parent, `.${basename(path)}.partial-${randomUUID()}`)
  try {
    await mkdir(temporary, { recursive: true })
    for (const { path: name, bytes } of files) await writeDurably(join(temporary, name), bytes)
    await syncFolder(temporary)
    // Renaming onto a directory that is not empty fails, also when it was filled meanwhile.
    await rename(temporary, path)
    await syncFolder(parent)
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true })
    if (hasCode(cause, 'ENOTEMPTY') || hasCode(cause, 'EEXIST')) throw isTaken(path, cause)
    throw new PlateauError('EXPORT_DIRECTORY', `${path} could not be written: ${messageOf(cause)}`, { cause })
  }
}

function isTaken(path: string, cause?: unknown): PlateauError {
  return new PlateauError('EXPORT_DIRECTORY', `${path} is not empty: give a directory that is, or a new name`, {
    cause,
  })
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const file = await open(path, 'wx')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code
}
