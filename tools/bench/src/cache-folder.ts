import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where a benchmark keeps what it prepared for itself: PLATEAU_BENCH_CACHE, or the user's cache. */
export function cacheFolder(name: string): string {
  const given = process.env['PLATEAU_BENCH_CACHE']
  const root = given || join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'plateau-bench')
  return join(root, name)
}
