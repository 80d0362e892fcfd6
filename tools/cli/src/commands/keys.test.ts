import { digestOf, parseApiKeys } from '@plateau/serving'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { plateau } from '../testing/run-command.js'
import { temporaryDirectory } from '../testing/temporary-log.js'

let path: string
beforeEach(() => {
  path = join(temporaryDirectory(), 'keys.json')
})

const keys = (verb: string, ...args: string[]) => plateau(['keys', verb, '--file', path, ...args])
const stored = async () => parseApiKeys(await readFile(path, 'utf8'))

test('a key is printed once; the file holds its digest and what it may', async () => {
  const limits = ['--requests-per-minute', '60', '--tokens-per-minute', '5000', '--max-concurrent', '4']
  const { code, out } = await keys('add', '--name', 'app', '--tenant', 'acme', '--capture', ...limits)
  expect([code, out]).toEqual([0, expect.stringMatching(/^pl_[\w-]{43}\n$/)])
  expect(await stored()).toEqual([
    {
      name: 'app',
      sha256: digestOf(out.trim()),
      tenant: 'acme',
      admin: false,
      capture: true,
      noSpeculation: false,
      requestsPerMinute: 60,
      tokensPerMinute: 5000,
      maxConcurrent: 4,
    },
  ])
  expect(await readFile(path, 'utf8')).not.toContain(out.trim())
  expect((await stat(path)).mode & 0o077).toBe(0)
})

test('keys are listed without digests, and removed by name', async () => {
  await keys('add', '--name', 'app', '--tenant', 'acme')
  await keys('add', '--name', 'ops', '--tenant', 'acme', '--admin')
  const { out } = await keys('list')
  expect(out).toMatch(/^app +acme +no +no +- +- +- +yes$/m)
  expect(out).toMatch(/^ops +acme +yes +no/m)
  expect(JSON.parse((await keys('list', '--json')).out)).toEqual([
    { name: 'app', tenant: 'acme', admin: false, capture: false, noSpeculation: false },
    { name: 'ops', tenant: 'acme', admin: true, capture: false, noSpeculation: false },
  ])
  expect(await keys('remove', '--name', 'app')).toMatchObject({ code: 0, out: 'key "app" removed\n' })
  expect((await stored()).map(({ name }) => name)).toEqual(['ops'])
  expect(await keys('remove', '--name', 'app')).toMatchObject({ code: 1, out: 'there is no key "app"\n' })
  await keys('remove', '--name', 'ops')
  expect((await keys('list')).out).toBe('no keys\n')
})

test('what the file would not be read with is not written', async () => {
  await keys('add', '--name', 'app', '--tenant', 'acme', '--max-concurrent', '4')
  const before = await readFile(path, 'utf8')
  const again = await keys('add', '--name', 'app', '--tenant', 'acme')
  expect(again).toMatchObject({ code: 1, out: '', err: expect.stringContaining('have the same name') })
  const other = await keys('add', '--name', 'b', '--tenant', 'acme', '--max-concurrent', '5')
  expect(other.err).toContain('name different maxConcurrent')
  expect(await readFile(path, 'utf8')).toBe(before)
})

test('a file that is broken or missing is said', async () => {
  expect((await keys('list')).err).toContain('API_KEYS_UNREADABLE')
  await writeFile(path, '{"keys":[{}]}')
  expect((await keys('add', '--name', 'a', '--tenant', 'b')).err).toContain('keys[0].sha256 must be')
  expect((await plateau(['keys', 'add', '--name', 'a', '--tenant', 'b'])).code).toBe(2)
})
