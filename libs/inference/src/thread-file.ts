/** How many threads a cached model's steps are worth, remembered beside it. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'

/** The same folder may serve containers with more or fewer processors. */
const fileName = () => `threads-of-${availableParallelism()}`

/** @param directory the model's own */
export async function keptThreads(directory: string | undefined): Promise<number | undefined> {
  if (directory === undefined) return undefined
  const text = await readFile(join(directory, fileName()), 'utf8').catch(() => '')
  const threads = Number(text)
  return Number.isInteger(threads) && threads >= 1 && threads <= availableParallelism() ? threads : undefined
}

/**
 * What was measured on a busy machine, or cannot be written (a cache that is only read, a model that has made room for
 * another), holds for now, and is measured again by the next start.
 *
 * @param load processes that ran at once, of late
 */
export async function keepThreads(
  directory: string | undefined,
  threads: number,
  load: number = loadavg()[0]!,
): Promise<void> {
  if (directory === undefined || load > availableParallelism() / 2) return
  const path = join(directory, fileName())
  const writing = `${path}.${randomUUID()}`
  const write = async () => {
    await writeFile(writing, String(threads))
    await rename(writing, path)
  }
  await write().catch(() => undefined)
}
