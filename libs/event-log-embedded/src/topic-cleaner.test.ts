import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory, topicSpec } from './testing/temporary-log.js'
import { TopicCleaner } from './topic-cleaner.js'
import type { StoredTopic } from './topic-differences.js'
import { type PlacedRecord, TopicStore } from './topic-store.js'

const HOUR_MS = 3_600_000

function place(key: string, value: string | null, timestampMs = 0, partition = 0): PlacedRecord {
  const bytes = Buffer.byteLength(key) + Buffer.byteLength(value ?? '') + 2
  return { partition, key, value: value === null ? null : Buffer.from(value), headersJson: '{}', timestampMs, bytes }
}

function openStore(changes: Partial<StoredTopic>, directory = temporaryDirectory()): TopicStore {
  const store = new TopicStore(topicSpec(changes), join(directory, 'topic.db'), { synchronous: 'normal' })
  onTestFinished(() => store.database.close())
  return store
}

function cleanerOf(store: TopicStore, compactionLagMs = 0): TopicCleaner {
  return new TopicCleaner(store, { compactionLagMs, tombstoneRetentionMs: HOUR_MS })
}

function cleanAll(store: TopicStore, cleaner: TopicCleaner, nowMs: number): number {
  let slices = 0
  while (cleaner.slice(store.topic, nowMs)) slices++
  return slices
}

const left = (store: TopicStore, partition = 0) =>
  store
    .fetch(partition, 0, 10_000, Infinity)
    .records.map(({ key, value }) => [key, value && String(Buffer.from(value))])

/** What the partitions table counts and what the records really hold. */
function bytesOf(store: TopicStore): { counted: number; held: number } {
  const db = new DatabaseSync(store.database.path)
  const sum = 'total(octet_length(key) + coalesce(octet_length(value), 0) + octet_length(headers))'
  const counted = Number(db.prepare('SELECT total(bytes) AS bytes FROM partitions').get()?.['bytes'])
  const held = Number(db.prepare(`SELECT ${sum} AS bytes FROM records`).get()?.['bytes'])
  db.close()
  return { counted, held }
}

test('the bytes of a partition stay what its records hold, through appends, retention and compaction', () => {
  const store = openStore({ cleanup: 'compact,delete', partitions: 2, retentionBytes: 3000 })
  const cleaner = cleanerOf(store)
  for (let round = 0; round < 20; round++) {
    store.append(Array.from({ length: 30 }, (_, i) => place(`ключ-${i % 23}`, 'ü'.repeat(i), round, i % 2)))
    store.append([place(`ключ-${round}`, null, round)])
    cleanAll(store, cleaner, 2 * HOUR_MS + round)
    const { counted, held } = bytesOf(store)
    expect(counted).toBe(held)
    expect(held).toBeGreaterThan(0)
    expect(held).toBeLessThanOrEqual(6000)
  }
})

test('retention works in bounded slices', () => {
  const store = openStore({ retentionMs: HOUR_MS })
  for (let i = 0; i < 10; i++) store.append(Array.from({ length: 200 }, () => place('key', 'value', 0)))
  expect(cleanAll(store, cleanerOf(store), 2 * HOUR_MS)).toBe(4)
  expect(left(store)).toEqual([])
})

test('offsets go on after everything has expired and the log was opened again', () => {
  const directory = temporaryDirectory()
  const first = openStore({ retentionMs: HOUR_MS }, directory)
  first.append([place('a', '1'), place('a', '2')])
  cleanAll(first, cleanerOf(first), 2 * HOUR_MS)
  first.database.close()
  const second = openStore({ retentionMs: HOUR_MS }, directory)
  expect(second.ranges()).toEqual([{ partition: 0, earliest: 2, next: 2 }])
  expect(second.append([place('a', '3')])).toEqual([{ partition: 0, offset: 2 }])
})

test('unlimited retention keeps everything', () => {
  const store = openStore({})
  store.append([place('a', '1')])
  expect(cleanerOf(store).slice(store.topic, 1e15)).toBe(false)
  expect(left(store)).toHaveLength(1)
})

test('compaction leaves what is younger than its lag alone', () => {
  const store = openStore({ cleanup: 'compact' })
  const cleaner = cleanerOf(store, 1000)
  store.append([place('a', '1'), place('a', '2')])
  cleanAll(store, cleaner, 0)
  cleanAll(store, cleaner, 999)
  expect(left(store)).toHaveLength(2)
  store.append([place('a', '3')])
  cleanAll(store, cleaner, 1000)
  // The third was not there yet when the lag began.
  expect(left(store)).toEqual([
    ['a', '2'],
    ['a', '3'],
  ])
  cleanAll(store, cleaner, 2500)
  cleanAll(store, cleaner, 5000)
  expect(left(store)).toEqual([['a', '3']])
})

test('a removed key disappears at once, its null after the tombstone retention, and never an older value returns', () => {
  const store = openStore({ cleanup: 'compact' })
  const cleaner = cleanerOf(store)
  store.append([place('a', '1'), place('b', '1'), place('a', null)])
  cleanAll(store, cleaner, 0)
  cleanAll(store, cleaner, 1)
  expect(left(store)).toEqual([
    ['b', '1'],
    ['a', null],
  ])
  cleanAll(store, cleaner, HOUR_MS + 1)
  expect(left(store)).toEqual([['b', '1']])
  expect(store.next(0)).toBe(3)
})

test('compaction of many records of few keys ends with one of each, whatever the slices', () => {
  const store = openStore({ cleanup: 'compact', partitions: 2 })
  const cleaner = cleanerOf(store)
  for (let i = 0; i < 1700; i++) store.append([place(`key-${i % 9}`, String(i), 0, (i % 9) % 2)])
  for (let now = 0; now < 4; now++) cleanAll(store, cleaner, now)
  const values = [...left(store, 0), ...left(store, 1)].map(([, value]) => Number(value))
  expect(values.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 9 }, (_, i) => 1691 + i))
})
