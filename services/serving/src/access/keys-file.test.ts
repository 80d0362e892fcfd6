import { silentLogger } from '@plateau/telemetry'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { digestOf } from './api-keys.js'
import { KeysFile } from './keys-file.js'

let folder: string
let path: string
let file: KeysFile | undefined
const said: string[] = []
const record = (message: string): void => void said.push(message)
const logger = { ...silentLogger, info: record, error: record }

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keys-'))
  path = join(folder, 'keys.json')
  said.length = 0
})
afterEach(async () => {
  await file?.close()
  file = undefined
  await rm(folder, { recursive: true })
})

const write = (...names: string[]) =>
  writeFile(path, JSON.stringify({ keys: names.map((name) => ({ name, sha256: digestOf(name), tenant: 't' })) }))
const names = () => file!.keys.map(({ name }) => name)
const open = async () => (file = await KeysFile.open({ path, logger, intervalMs: 3_600_000 }))

it('a file that changed is read again, one that did not is not', async () => {
  await write('a')
  await open()
  await file!.look()
  expect(said).toEqual([])
  await write('a', 'b')
  await file!.look()
  expect([names(), said]).toEqual([['a', 'b'], ['API keys read again']])
})

it('a broken or missing file keeps the keys that were there, and is said once', async () => {
  await write('a')
  await open()
  await writeFile(path, '{')
  for (let i = 0; i < 3; i++) await file!.look()
  expect([names(), said.length]).toEqual([['a'], 1])
  await rm(path)
  for (let i = 0; i < 3; i++) await file!.look()
  expect([names(), said.length]).toEqual([['a'], 2])
  await write('c')
  await file!.look()
  expect(names()).toEqual(['c'])
})

it('without keys to begin with it throws, naming the file', async () => {
  await writeFile(path, '{"keys":[{}]}')
  await expect(open()).rejects.toMatchObject({ code: 'API_KEYS_INVALID', message: expect.stringContaining(path) })
  await rm(path)
  await expect(open()).rejects.toMatchObject({ code: 'API_KEYS_INVALID' })
  await writeFile(path, '{"keys":[]}')
})
