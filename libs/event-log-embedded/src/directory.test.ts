import { chmodSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { PlateauError } from '@plateau/contracts'
import { expect, onTestFinished, test } from 'vitest'
import { openEmbeddedEventLog } from './index.js'
import { startProgram } from '@plateau/event-log/contract-suite'
import { openTestLog, readAll, temporaryDirectory, topicSpec } from './testing/temporary-log.js'

const record = { key: 'key', value: Buffer.from('value'), headers: {} }

function openingFails(directory: string): PlateauError {
  try {
    void openEmbeddedEventLog(directory).close()
  } catch (thrown) {
    if (thrown instanceof PlateauError) return thrown
    throw thrown
  }
  throw new Error('it opened')
}

async function failureOf(promise: Promise<unknown>): Promise<PlateauError> {
  const thrown: unknown = await promise.catch((reason: unknown) => reason)
  if (thrown instanceof PlateauError) return thrown
  throw new Error('it did not fail as it should', { cause: thrown })
}

test('a missing directory is created, for its owner only', async () => {
  const directory = join(temporaryDirectory(), 'a', 'b')
  const log = openTestLog(directory)
  await log.ensureTopics([topicSpec()])
  await log.producer().send('topic', [record])
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  expect(names).toContain(join('topics', 'topic.db-wal'))
  const open = ['.', ...names].filter((name) => (statSync(join(directory, name)).mode & 0o077) !== 0)
  expect(open).toEqual([])
})

test('processes that open a new file in the same moment all open it', async () => {
  const program = new URL('./testing/open-together.ts', import.meta.url)
  const args = [temporaryDirectory(), 400, Date.now() + 1500]
  const openers = [1, 2, 3].map(() => startProgram(program, args))
  onTestFinished(async () => void (await Promise.all(openers.map((opener) => opener.kill()))))
  const said = () => openers.map(({ lines }) => lines.join())
  await expect.poll(said, { timeout: 20_000 }).toEqual(['opened 400', 'opened 400', 'opened 400'])
})

test('a directory that holds something else is refused and left alone', () => {
  const directory = temporaryDirectory()
  writeFileSync(join(directory, 'thesis.txt'), 'mine')
  const error = openingFails(directory)
  expect(error.code).toBe('LOG_UNAVAILABLE')
  expect(error.message).toContain('thesis.txt')
  expect(readdirSync(directory)).toEqual(['thesis.txt'])
})

test('a file in the place of the directory is refused', () => {
  const path = join(temporaryDirectory(), 'file')
  writeFileSync(path, '')
  const error = openingFails(path)
  expect(error.code).toBe('LOG_UNAVAILABLE')
  expect(error.message).toContain(path)
})

test('a log of another format version is refused', async () => {
  const directory = temporaryDirectory()
  await openEmbeddedEventLog(directory).close()
  writeFileSync(join(directory, 'plateau-event-log.json'), '{"format":"plateau-event-log","version":2}')
  expect(openingFails(directory).code).toBe('LOG_UNAVAILABLE')
})

test('a directory that may not be written is refused', () => {
  const directory = temporaryDirectory()
  chmodSync(directory, 0o555)
  onTestFinished(() => chmodSync(directory, 0o755))
  // Root may write anything, so it has to be someone else here.
  const isRoot = process.getuid?.() === 0
  if (isRoot) process.seteuid?.(65534)
  try {
    expect(openingFails(directory).code).toBe('LOG_UNAVAILABLE')
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
})

test('damaged files are named in a clear error', async () => {
  const directory = temporaryDirectory()
  const log = openEmbeddedEventLog(directory)
  await log.ensureTopics([topicSpec()])
  await log.producer().send('topic', [record])
  await log.close()
  const topicFile = join(directory, 'topics', 'topic.db')
  writeFileSync(topicFile, Buffer.alloc(8192, 'garbage'))
  const damaged = openTestLog(directory)
  const error = await failureOf(damaged.producer().send('topic', [record]))
  expect(error.code).toBe('LOG_UNAVAILABLE')
  expect(error.retryable).toBe(false)
  expect(error.message).toContain(topicFile)
  expect((await failureOf(damaged.consumer({ group: 'group', topics: ['topic'] }).run(async () => {}))).code).toBe(
    'LOG_UNAVAILABLE',
  )
  await damaged.close()
  writeFileSync(join(directory, 'log.db'), Buffer.alloc(8192, 'garbage'))
  expect(openingFails(directory).message).toContain('log.db')
})

test("another program's database is refused", async () => {
  const directory = temporaryDirectory()
  await openEmbeddedEventLog(directory).close()
  rmSync(join(directory, 'log.db'))
  const other = new DatabaseSync(join(directory, 'log.db'))
  other.exec('CREATE TABLE bookmarks (url TEXT)')
  other.close()
  expect(openingFails(directory).message).toContain('another program')
})

test('a full log refuses with LOG_FULL, keeps what it has, and takes records again once there is room', async () => {
  const directory = temporaryDirectory()
  const log = openTestLog(directory, { maxTopicBytes: 500_000, maintenanceIntervalMs: 10 })
  await log.ensureTopics([topicSpec()])
  const producer = log.producer()
  const large = { ...record, value: Buffer.alloc(20_000) }
  let sent = 0
  let full: unknown
  for (; full === undefined && sent < 100; sent++) {
    await producer.send('topic', [large]).catch((thrown: unknown) => (full = thrown))
  }
  expect(full).toMatchObject({ code: 'LOG_FULL', retryable: true })
  expect(producer.bytesInFlight).toBe(0)
  expect(await readAll(log, 'topic')).toHaveLength(sent - 1)

  await log.applyTopics([topicSpec({ retentionBytes: 100_000 })])
  await expect
    .poll(() =>
      producer.send('topic', [large]).then(
        () => 'sent',
        () => 'full',
      ),
    )
    .toBe('sent')
  expect((await readAll(log, 'topic')).at(-1)?.offset).toBe(sent - 1)
})

test('a log that was made before there were leases gets what it lacks, and keeps its records', async () => {
  const directory = temporaryDirectory()
  const before = openEmbeddedEventLog(directory)
  await before.ensureTopics([topicSpec()])
  await before.producer().send('topic', [record])
  await before.close()
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.db'))
  expect(files).toHaveLength(2)
  for (const file of files) {
    const old = new DatabaseSync(join(directory, file))
    old.exec('DROP TABLE IF EXISTS writers; DROP TABLE IF EXISTS fences; PRAGMA user_version = 0')
    old.close()
  }
  const log = openTestLog(directory)
  const lease = await log.lease({ name: 'writer', topics: ['topic'] })
  await lease.producer.send('topic', [record])
  expect(await readAll(log, 'topic')).toHaveLength(2)
})

test('a topic with a name that is not safe as a file name is refused', async () => {
  const directory = temporaryDirectory()
  const log = openTestLog(directory)
  for (const name of ['', '..', '../escape', 'a/b', 'ü']) {
    expect((await failureOf(log.ensureTopics([topicSpec({ name })]))).code).toBe('INVALID_TOPIC_NAME')
  }
})
