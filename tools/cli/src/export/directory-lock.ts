import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { PlateauError } from '@plateau/contracts'

const FILE = '.lock'

/**
 * One export at a time in a directory. The lock is SQLite's on a file, so the system's: it ends with the process, however
 * that ends, and nothing stale is ever left.
 */
export function lockDirectory(directory: string): { release(): void } {
  const database = new DatabaseSync(join(directory, FILE), { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    database.close()
    throw new PlateauError('EXPORT_RUNNING', `another export is writing to ${directory}`, { cause })
  }
  return { release: () => database.close() }
}
