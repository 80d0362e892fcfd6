import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { keepThreads, keptThreads } from './thread-file.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plateau-thread-file-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

test('what was measured on a quiet machine is kept, on a busy one it is not', async () => {
  await keepThreads(directory, 1, availableParallelism())
  expect(await keptThreads(directory)).toBeUndefined()
  await keepThreads(directory, 1, 0)
  expect(await keptThreads(directory)).toBe(1)
  expect(await readdir(directory)).toHaveLength(1)
})

test('a folder that cannot be written keeps nothing, and stops nobody', async () => {
  const gone = join(directory, 'gone')
  await keepThreads(gone, 1, 0)
  expect(await keptThreads(gone)).toBeUndefined()
})
