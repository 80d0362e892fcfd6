import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Repository } from './documents.js'

export function repositoryAt(root: string): Repository {
  return {
    read: (path) => readFileSync(join(root, path), 'utf8'),
    readBytes: (path) => readFileSync(join(root, path)),
  }
}
