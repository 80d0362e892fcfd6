import { messageOf, PlateauError } from '@plateau/contracts'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Files of a draft in memory, by path: a checkpoint whose digests were checked, or a directory. */
export type DraftFiles = ReadonlyMap<string, Uint8Array>

/** DRAFT_INVALID: `where` does not hold a `what`. */
export function invalidDraft(where: string, what: string, why: string, cause?: unknown): PlateauError {
  return new PlateauError('DRAFT_INVALID', `${where} does not hold a ${what}: ${why}`, { facts: { where }, cause })
}

export function draftFile(files: DraftFiles, name: string, where: string, what: string): Uint8Array {
  const bytes = files.get(name)
  if (bytes === undefined) throw invalidDraft(where, what, `${name} is missing`)
  return bytes
}

/** Of a directory, what a draft needs; a file of `optional` may be missing. */
export async function readDraftFiles(
  directory: string,
  what: string,
  required: readonly string[],
  optional: readonly string[] = [],
): Promise<DraftFiles> {
  const files = new Map<string, Uint8Array>()
  for (const name of [...required, ...optional]) {
    const bytes = await readFile(join(directory, name)).catch((thrown: NodeJS.ErrnoException) => {
      if (optional.includes(name) && thrown.code === 'ENOENT') return undefined
      throw invalidDraft(directory, what, `${name} cannot be read: ${messageOf(thrown)}`, thrown)
    })
    if (bytes !== undefined) files.set(name, bytes)
  }
  return files
}
