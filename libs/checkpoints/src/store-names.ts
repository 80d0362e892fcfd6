/** How versions and states are called in a store: the same for all, so that one can be copied into another. */
import { PlateauError } from '@plateau/contracts'
import type { StoredFile } from './checkpoint-store.js'
import { isPlainPath, MANIFEST_FILE, SIGNATURE_FILE } from './manifest.js'

/** The folder of a version relative to the store's root. */
export function versionPath(lineage: string, version: number): string {
  return `${lineageName(lineage)}/v${String(version).padStart(8, '0')}`
}

/** Of the name of a version's folder; undefined for another one. */
export function versionOf(folder: string): number | undefined {
  const digits = /^v(\d{8,})$/.exec(folder)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** Epoch 0 has the bare name. */
export function statePath(lineage: string, name: string, epoch: number): string {
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(name)) throw pathUnsafe(name)
  const suffix = epoch === 0 ? '' : `.e${String(epoch).padStart(10, '0')}`
  return `${lineageName(lineage)}/state/${name}${suffix}`
}

/** Of the state `name`, by the name of a file or object beside it; undefined for one of another state. */
export function epochOf(found: string, name: string): number | undefined {
  if (found === name) return 0
  const digits = found.startsWith(name) ? /^\.e(\d{10,})$/.exec(found.slice(name.length))?.[1] : undefined
  return digits === undefined ? undefined : Number(digits)
}

export function lineageName(lineage: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(lineage)) return lineage
  throw new PlateauError(
    'LINEAGE_INVALID',
    `${JSON.stringify(lineage)} is not a lineage: use letters, digits, dots, dashes`,
    { facts: { lineage } },
  )
}

/** A version is its manifest and what that names: without one nobody could open it. */
export function mustBeVersion(lineage: string, version: number, files: readonly StoredFile[]): void {
  const where = versionPath(lineage, version)
  for (const { path } of files) {
    if (path !== MANIFEST_FILE && path !== SIGNATURE_FILE && !isPlainPath(path)) throw pathUnsafe(`${where}/${path}`)
  }
  if (files.filter(({ path }) => path === MANIFEST_FILE).length === 1) return
  throw new PlateauError('CHECKPOINT_MANIFEST_INVALID', `${where} is to be written without one ${MANIFEST_FILE}`, {
    facts: { lineage, version },
  })
}

export function pathUnsafe(path: string): PlateauError {
  return new PlateauError('CHECKPOINT_PATH_UNSAFE', `${JSON.stringify(path)} leads out of the checkpoint store`, {
    facts: { path },
  })
}

export function versionExists(lineage: string, version: number, where: string, how = 'exists already'): PlateauError {
  return new PlateauError('CHECKPOINT_EXISTS', `version ${version} of lineage ${lineage} ${how} in ${where}`, {
    facts: { lineage, version, where },
  })
}

export function notFound(path: string, where: string, cause?: unknown): PlateauError {
  return new PlateauError('CHECKPOINT_NOT_FOUND', `${path} is not in the checkpoint store ${where}`, {
    facts: { path, where },
    cause,
  })
}

export function tooLarge(path: string, bytes: number, maxBytes: number): PlateauError {
  return new PlateauError('CHECKPOINT_TOO_LARGE', `${path} has ${bytes} bytes, more than the ${maxBytes} expected`, {
    facts: { path, bytes, maxBytes },
  })
}

export function fenced(lineage: string, name: string, epoch: number, latest: number): PlateauError {
  return new PlateauError(
    'STATE_FENCED',
    `the state ${name} of lineage ${lineage} has a writer of epoch ${latest}: epoch ${epoch} may not replace it`,
    { facts: { lineage, name, epoch, latest } },
  )
}
