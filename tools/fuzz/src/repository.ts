import { fileURLToPath } from 'node:url'

/** A file of the repository, from the root. */
export function repositoryFile(path: string): string {
  return fileURLToPath(new URL(`../../../${path}`, import.meta.url))
}
