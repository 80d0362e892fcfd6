import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { plateau } from '../testing/run-command.js'
import { temporaryDirectory } from '../testing/temporary-log.js'

let dir: string
beforeEach(() => {
  dir = join(temporaryDirectory(), 'certs')
})

const certs = (verb: string, ...args: string[]) => plateau(['certs', verb, '--dir', dir, ...args])
const read = (...path: string[]): string => readFileSync(join(dir, ...path), 'utf8')

test('every service gets an identity that services take, and only its owner can read the keys', async () => {
  const { code, out } = await certs('issue')
  expect([code, out]).toEqual([0, expect.stringContaining('spiffe://plateau.local/ns/plateau/sa/target-model')])
  const listed = await certs('list', '--json')
  const found = listed.json<{ service: string; identity: string; until: string }[]>()
  expect(listed.code).toBe(0)
  expect(found.map(({ service }) => service)).toEqual([
    'target-model',
    'serving',
    'trainer',
    'flatness-scorer',
    'console',
    'operator',
  ])
  for (const path of ['ca.key', 'serving/tls.key', 'serving']) expect(statSync(join(dir, path)).mode & 0o077).toBe(0)
  expect(read('serving', 'ca.crt')).toBe(read('ca.crt'))
})

test('issuing again renews what was asked for, by the same authority', async () => {
  await certs('issue', '--services', 'serving,operator')
  const before = [read('ca.crt'), read('serving', 'tls.crt'), read('operator', 'tls.crt')]
  await certs('issue', '--services', 'serving')
  const after = [read('ca.crt'), read('serving', 'tls.crt'), read('operator', 'tls.crt')]
  expect(after.map((text, i) => text === before[i])).toEqual([true, false, true])
  expect((await certs('list')).code).toBe(0)
})

test('what is wrong is listed, and the exit code says so', async () => {
  await certs('issue', '--services', 'serving,trainer', '--days', '1')
  writeFileSync(join(dir, 'serving', 'tls.key'), read('trainer', 'tls.key'))
  const { code, out } = await plateau(['certs', 'list', '--dir', dir], { now: () => Date.now() + 2 * 86_400_000 })
  expect(code).toBe(1)
  expect(out).toMatch(/^serving .*the key does not belong to the certificate; the certificate expired at/m)
  expect(out).toMatch(/^trainer .*expired/m)
})

test('wrong use is said and makes nothing', async () => {
  expect(await certs('issue', '--services', 'serving,scorer')).toMatchObject({
    code: 2,
    err: expect.stringContaining('there is no scorer; services are target-model'),
  })
  expect(await certs('issue', '--namespace', 'Not One')).toMatchObject({ code: 2 })
  expect(await certs('list')).toMatchObject({ code: 1, err: expect.stringContaining('certs issue makes them') })
  await certs('issue', '--services', 'serving')
  writeFileSync(join(dir, 'ca.key'), 'nonsense')
  expect(await certs('issue')).toMatchObject({ code: 1, err: expect.stringContaining('CERTIFICATES_NOT_ISSUED') })
  rmSync(join(dir, 'serving', 'ca.crt'))
  expect(await certs('list')).toMatchObject({ code: 1, out: expect.stringContaining('cannot be read') })
})
