import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { allTopics } from '@plateau/contracts'
import { expect, test } from 'vitest'
import { PROTO_DIRECTORY } from '../proto-files.js'
import { RegistryServer } from '../testing/registry-server.js'
import { plateau } from '../testing/run-command.js'
import { temporaryDirectory } from '../testing/temporary-log.js'

const publicTopics = allTopics.filter(({ name }) => name.startsWith('public.'))
const subjects = publicTopics.map(({ name }) => `${name}-value`)
const textOf = (subject: string) =>
  readFileSync(join(PROTO_DIRECTORY, publicTopics[subjects.indexOf(subject)]!.schema.file), 'utf8')

interface Row {
  readonly subject: string
  readonly id?: number
  readonly version?: number
  readonly messageIndex: number
  readonly state: string
}

test("every public topic's proto file is registered under its subject, and the ids are reported", async () => {
  const registry = await RegistryServer.start()
  const { code, json } = await plateau(['schemas', 'register', '--registry', registry.url, '--json'])
  expect(code).toBe(0)
  expect([...registry.subjects.keys()]).toEqual(subjects)
  for (const { subject, id, version, messageIndex, state } of json<Row[]>()) {
    const schema = textOf(subject)
    expect(registry.subjects.get(subject)).toEqual([{ id, schema }])
    expect({ version, state }).toEqual({ version: 1, state: 'registered' })
    const topic = publicTopics[subjects.indexOf(subject)]!
    const messages = [...schema.matchAll(/^message (\w+)/gm)].map(([, name]) => name)
    expect(messages[messageIndex]).toBe(topic.messageType.split('.').at(-1))
  }
})

test('what is registered stays; a second run changes nothing', async () => {
  const registry = await RegistryServer.start()
  await plateau(['schemas', 'register', '--registry', `${registry.url}/`])
  const before = structuredClone(registry.subjects)
  const again = await plateau(['schemas', 'register'], { environment: { PLATEAU_SCHEMA_REGISTRY: registry.url } })
  expect(again).toMatchObject({ code: 0, out: expect.stringContaining('registered before') })
  expect(registry.subjects).toEqual(before)
  expect(await plateau(['schemas', 'check', '--registry', registry.url])).toMatchObject({ code: 0 })
})

test('a check tells missing, behind and incompatible apart, and changes nothing', async () => {
  const registry = await RegistryServer.start()
  const [behind, incompatible, registered, ...missing] = subjects
  registry.add(behind!, textOf(behind!).replace(/^.* = 1;$/m, ''))
  registry.add(incompatible!, `${textOf(incompatible!)}\nmessage More { string gone = 77; }\n`)
  registry.add(registered!, textOf(registered!))
  const before = structuredClone(registry.subjects)
  const { code, json } = await plateau(['schemas', 'check', '--registry', registry.url, '--json'])
  expect(code).toBe(1)
  expect(Object.fromEntries(json<Row[]>().map(({ subject, state }) => [subject, state]))).toEqual({
    [behind!]: 'behind',
    [incompatible!]: 'incompatible',
    [registered!]: 'unchanged',
    ...Object.fromEntries(missing.map((subject) => [subject, 'missing'])),
  })
  expect(registry.subjects).toEqual(before)
})

test('a schema that the registry refuses is named with its reason; the others are registered', async () => {
  const registry = await RegistryServer.start()
  registry.add(subjects[0]!, 'message Old { string gone = 77; }')
  const { code, out } = await plateau(['schemas', 'register', '--registry', registry.url])
  expect(code).toBe(1)
  expect(out).toMatch(new RegExp(`^${subjects[0]} .* refused +Schema being registered lacks gone = 77;$`, 'm'))
  expect(registry.subjects.size).toBe(subjects.length)
})

test('credentials come from a file; without them the registry refuses us in one sentence', async () => {
  const registry = await RegistryServer.start()
  registry.credentials = 'ops:s3cret'
  const denied = await plateau(['schemas', 'check', '--registry', registry.url])
  expect(denied).toMatchObject({
    code: 1,
    err: expect.stringMatching(/refused us: Unauthorized \(SCHEMA_REGISTRY_DENIED\)\n$/),
  })
  const file = join(temporaryDirectory(), 'auth')
  writeFileSync(file, 'ops:s3cret\n')
  const { code, out, err } = await plateau(['schemas', 'register', '--registry', registry.url, '--auth-file', file])
  expect(code).toBe(0)
  expect(out + err).not.toContain('s3cret')
})

test('a registry that is not there, or is none, is said to be so', async () => {
  const gone = await plateau(['schemas', 'check', '--registry', await urlOfNobody()])
  expect(gone).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^plateau schemas check failed: .* cannot be reached: .*ECONNREFUSED.*\n$/),
  })
  const registry = await RegistryServer.start()
  const elsewhere = await plateau(['schemas', 'check', '--registry', `${registry.url}/somewhere`])
  expect(elsewhere).toMatchObject({ code: 1, err: expect.stringContaining('HTTP 404 Not Found') })
  expect(await plateau(['schemas', 'check', '--registry', 'localhost:8081'])).toMatchObject({ code: 2 })
  expect(await plateau(['schemas', 'check'])).toMatchObject({ code: 2 })
})

/** A port that was free a moment ago. */
async function urlOfNobody(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}
