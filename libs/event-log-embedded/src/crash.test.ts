import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog } from '@plateau/event-log'
import { afterEach, expect, test } from 'vitest'
import { type LogProcess, startLogProcess, until } from './testing/start-process.js'
import { openTestLog, readAll, temporaryDirectory, topicSpec } from './testing/temporary-log.js'

const NEVER_MS = 60_000
const running: LogProcess[] = []

function start(...args: (string | number)[]): LogProcess {
  const started = startLogProcess(...args)
  running.push(started)
  return started
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((started) => started.kill()))
})

test('writers killed again and again: what was acknowledged is there once, in order, and every consumer gets it', async () => {
  const directory = temporaryDirectory()
  const log = openTestLog(directory)
  await log.ensureTopics([topicSpec({ partitions: 4 })])
  const steady = start('append', directory, 'topic', 'steady', 0)
  const consumers = [1, 2].map(() => start('consume', directory, 'topic', 'group', NEVER_MS))
  const killed: LogProcess[] = []
  for (let round = 0; round < 3; round++) {
    const writer = start('append', directory, 'topic', 'killed', round * 1_000_000)
    await until('some acknowledged', () => ackedBy(writer).length > 40 + round * 20)
    await writer.kill()
    killed.push(writer)
    // Usable at once, by a process that was there all the time.
    await log.producer().send('topic', [{ key: 'after', value: Buffer.from(String(round)), headers: {} }])
  }
  await steady.kill()

  const records = await readAll(log, 'topic')
  const places = new Map(records.map((record) => [`${record.partition} ${record.offset}`, record]))
  for (const { seq, place } of [steady, ...killed].flatMap(ackedBy)) {
    expect(String(Buffer.from(places.get(place)?.value ?? [])).trim()).toBe(String(seq))
  }
  for (const key of ['steady', 'killed', 'after']) {
    const sequence = records.filter((record) => record.key === key).map(({ value }) => Number(Buffer.from(value ?? [])))
    expect(sequence).toEqual([...new Set(sequence)].toSorted((a, b) => a - b))
  }
  await until('everything consumed', () => consumers.flatMap(gotBy).length >= records.length)
  await sleep(200)
  expect(consumers.flatMap(gotBy).toSorted()).toEqual([...places.keys()].toSorted())
})

test('a consumer killed with a batch in hand: the other gets it at once, not after the session timeout', async () => {
  const directory = temporaryDirectory()
  const log = await filledLog(directory)
  const holding = start('consume', directory, 'topic', 'group', NEVER_MS, 'hold')
  await until('all four in hand', () => partitionsOf(holding) === 4)
  const other = start('consume', directory, 'topic', 'group', NEVER_MS)
  await until('the other waits', () => other.lines.includes('ready'))
  await holding.kill()
  await until('taken over and committed', async () => (await lagOf(log)) === 0)
  // What a process prints arrives a moment after what it commits.
  await until('all heard of', () => gotBy(other).length >= 100)
  expect(new Set(gotBy(other)).size).toBe(100)
  expect(gotBy(other)).toHaveLength(100)
})

test('the only consumer killed and started again goes on at once', async () => {
  const directory = temporaryDirectory()
  const log = await filledLog(directory)
  const first = start('consume', directory, 'topic', 'group', NEVER_MS, 'hold')
  await until('in hand', () => gotBy(first).length > 0)
  await first.kill()
  const second = start('consume', directory, 'topic', 'group', NEVER_MS)
  await until('consumed by the second', async () => (await lagOf(log)) === 0)
  await until('all heard of', () => gotBy(second).length >= 100)
  expect(new Set(gotBy(second)).size).toBe(100)
})

test('a frozen consumer loses its partitions after the session timeout; thawed, its commit is refused', async () => {
  const directory = temporaryDirectory()
  const log = await filledLog(directory)
  const frozen = start('consume', directory, 'topic', 'group', 500, 'hold')
  await until('all four in hand', () => partitionsOf(frozen) === 4)
  frozen.freeze()
  const other = start('consume', directory, 'topic', 'group', 500)
  await until('taken over', async () => (await lagOf(log)) === 0)
  await until('all heard of', () => gotBy(other).length >= 100)
  expect(new Set(gotBy(other)).size).toBe(100)
  frozen.tell('go')
  frozen.thaw()
  await until('refused', () => frozen.lines.filter((line) => line === 'refused PARTITION_LOST').length === 4)
  expect(await lagOf(log)).toBe(0)
  // It is a member again: alone, it gets what comes next.
  await other.kill()
  await log.producer().send('topic', [{ key: 'late', value: Buffer.from('late'), headers: {} }])
  await until('the thawed one goes on', async () => (await lagOf(log)) === 0)
})

test('killed in the middle of compaction: the newest value of the key stays, offsets go on', async () => {
  const directory = temporaryDirectory()
  const log = openTestLog(directory)
  await log.ensureTopics([topicSpec({ name: 'table', cleanup: 'compact' })])
  let highest = -1
  for (let round = 0; round < 3; round++) {
    const writer = start('append', directory, 'table', 'key', round * 1_000_000)
    await until('some acknowledged', () => ackedBy(writer).length > 200)
    await writer.kill()
    const last = ackedBy(writer).at(-1)
    const newest = (await readAll(log, 'table')).at(-1)
    expect(Number(Buffer.from(newest?.value ?? []))).toBeGreaterThanOrEqual(last?.seq ?? 0)
    expect(newest?.offset).toBeGreaterThan(highest)
    highest = newest?.offset ?? -1
  }
})

test('processes that create the same log at the same moment all get it', async () => {
  const directory = join(temporaryDirectory(), 'new')
  const creators = [0, 1, 2].map((i) => start('create', directory, 'topic', `key-${i}`, 0))
  for (const creator of creators) await until('acknowledged', () => ackedBy(creator).length > 10)
  await Promise.all(creators.map((creator) => creator.kill()))
  const places = (await readAll(openTestLog(directory), 'topic')).map(
    ({ partition, offset }) => `${partition} ${offset}`,
  )
  for (const { place } of creators.flatMap(ackedBy)) expect(places).toContain(place)
})

async function filledLog(directory: string): Promise<EventLog> {
  const log = openTestLog(directory)
  await log.ensureTopics([topicSpec({ partitions: 4 })])
  const records = Array.from({ length: 100 }, (_, i) => ({ key: `${i}`, value: Buffer.from(`${i}`), headers: {} }))
  await log.producer().send('topic', records)
  return log
}

async function lagOf(log: EventLog): Promise<number> {
  const committed = await log.committed('group', 'topic')
  const ranges = await log.offsets('topic')
  return ranges.reduce((lag, { next }, partition) => lag + next - Math.max(0, committed[partition]?.offset ?? 0), 0)
}

function ackedBy({ lines }: LogProcess): { seq: number; place: string }[] {
  const acked = lines.map((line) => line.split(' ')).filter(([what]) => what === 'acked')
  return acked.map(([, seq, partition, offset]) => ({ seq: Number(seq), place: `${partition} ${offset}` }))
}

/** "PARTITION OFFSET" of every record handed over. */
function gotBy({ lines }: LogProcess): string[] {
  return lines.filter((line) => line.startsWith('got ')).map((line) => line.slice(4))
}

function partitionsOf(started: LogProcess): number {
  return new Set(gotBy(started).map((place) => place.split(' ')[0])).size
}
