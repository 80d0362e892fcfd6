import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { cachedModel, forgetModel, writeSynced } from './model-cache.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plateau-model-cache-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

let builds = 0
/** A model of so many bytes. */
const builder = (bytes = 100) => {
  return async (into: string) => {
    await writeSynced(join(into, 'weights.bin'), new Uint8Array(bytes).fill(7))
    return { weightBytes: bytes, build: ++builds }
  }
}

const names = async () => (await readdir(directory)).sort()

test('a model is built once and found again', async () => {
  const cache = { directory: join(directory, 'deep', 'inside') }
  const first = await cachedModel(cache, 'a', builder())
  const second = await cachedModel(cache, 'a', () => Promise.reject(new Error('built twice')))
  expect([first.fromCache, second.fromCache]).toEqual([false, true])
  expect(second.facts).toEqual(first.facts)
  expect((await readFile(join(second.directory, 'weights.bin'))).length).toBe(100)
})

test('two that build at once end up with the same whole model', async () => {
  const found = await Promise.all([1, 2, 3].map(() => cachedModel({ directory }, 'a', builder())))
  expect(new Set(found.map((model) => model.directory)).size).toBe(1)
  expect(new Set(found.map((model) => model.facts['build'])).size).toBe(1)
  expect(await names()).toEqual(['a'])
})

test('a build that fails leaves nothing and says why', async () => {
  const failing = async (into: string) => {
    await writeFile(join(into, 'weights.bin'), 'half')
    throw new RangeError('tensor w holds a NaN')
  }
  await expect(cachedModel({ directory }, 'a', failing)).rejects.toThrow('tensor w holds a NaN')
  expect(await names()).toEqual([])
  expect((await cachedModel({ directory }, 'a', builder())).fromCache).toBe(false)
})

test('kill -9 during a build leaves nothing under the name, and what it left is removed once it is old', async () => {
  const module = new URL('./model-cache.ts', import.meta.url).href
  const script = `const { cachedModel } = await import(${JSON.stringify(module.replace('/src/', '/dist/').replace('.ts', '.js'))})
    const { writeFile } = await import('node:fs/promises')
    await cachedModel({ directory: ${JSON.stringify(directory)} }, 'a', async (into) => {
      await writeFile(into + '/weights.bin', 'half of it')
      console.log('halfway')
      await new Promise((resolve) => setTimeout(resolve, 60_000))
    })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')

  const left = await names()
  expect(left).toEqual([expect.stringMatching(/^\.building-/)])
  expect((await cachedModel({ directory }, 'a', builder())).fromCache).toBe(false)
  expect(await names()).toEqual([...left, 'a'])

  const longAgo = new Date(Date.now() - 3_600_000)
  await utimes(join(directory, left[0]!, 'weights.bin'), longAgo, longAgo)
  await utimes(join(directory, left[0]!), longAgo, longAgo)
  await cachedModel({ directory }, 'b', builder())
  expect(await names()).toEqual(['a', 'b'])
})

test.each([
  ['a file that is too short', (entry: string) => truncate(join(entry, 'weights.bin'), 99)],
  ['a file that is missing', (entry: string) => rm(join(entry, 'weights.bin'))],
  ['no list of files', (entry: string) => rm(join(entry, 'entry.json'))],
  ['half a list of files', (entry: string) => truncate(join(entry, 'entry.json'), 20)],
  ['a list of files that is none', (entry: string) => writeFile(join(entry, 'entry.json'), 'null')],
])('a damaged model is built anew: %s', async (_, damage) => {
  const { directory: entry } = await cachedModel({ directory }, 'a', builder())
  await damage(entry)
  expect((await cachedModel({ directory }, 'a', builder(50))).facts['weightBytes']).toBe(50)
  expect(await names()).toEqual(['a'])
})

test('beyond the budget the least recently used go, the newest stays whatever its size', async () => {
  const cache = { directory, maxBytes: 1000 }
  const useAt = (name: string, hoursAgo: number) => {
    const then = new Date(Date.now() - hoursAgo * 3_600_000)
    return utimes(join(directory, name, 'entry.json'), then, then)
  }
  for (const name of ['a', 'b', 'c']) await cachedModel(cache, name, builder(300))
  await useAt('a', 3)
  await useAt('b', 2)
  await useAt('c', 1)
  await cachedModel(cache, 'a', builder())
  await cachedModel(cache, 'd', builder(300))
  expect(await names()).toEqual(['a', 'c', 'd'])
  await cachedModel(cache, 'e', builder(5000))
  expect(await names()).toEqual(['e'])
})

test('a forgotten model is built anew; forgetting twice does no harm', async () => {
  await cachedModel({ directory }, 'a', builder())
  await forgetModel({ directory }, 'a')
  await forgetModel({ directory }, 'a')
  expect((await cachedModel({ directory }, 'a', builder())).fromCache).toBe(false)
})

test('a folder that cannot be written is named', async () => {
  const file = join(directory, 'file')
  await writeFile(file, '')
  await expect(cachedModel({ directory: join(file, 'cache') }, 'a', builder())).rejects.toMatchObject({
    code: 'MODEL_CACHE_UNUSABLE',
    facts: { directory: join(file, 'cache') },
  })
  await mkdir(join(directory, 'kept'))
  expect((await stat(join(directory, 'kept'))).isDirectory()).toBe(true)
})
