import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory, topicSpec } from './testing/temporary-log.js'
import { type PlacedRecord, TopicStore } from './topic-store.js'

function openStore(partitions: number, directory = temporaryDirectory()): TopicStore {
  const store = new TopicStore(topicSpec({ partitions }), join(directory, 'topic.db'), { synchronous: 'normal' })
  onTestFinished(() => store.database.close())
  return store
}

function place(partition: number, valueBytes: number): PlacedRecord {
  const value = new Uint8Array(valueBytes)
  return { partition, key: 'key', value, headersJson: '{}', timestampMs: 0, bytes: valueBytes }
}

test('a fetch stops at its bound of records or of bytes, but never before the first record', () => {
  const store = openStore(1)
  store.append(Array.from({ length: 10 }, () => place(0, 1000)))
  const sizeOf = (maxRecords: number, maxBytes: number) => store.fetch(0, 2, maxRecords, maxBytes).records.length
  expect(sizeOf(100, Infinity)).toBe(8)
  expect(sizeOf(3, Infinity)).toBe(3)
  expect(sizeOf(100, 2500)).toBe(3)
  expect(sizeOf(100, 1)).toBe(1)
})

test('an append that fails leaves no record and no gap', () => {
  const store = openStore(2)
  store.append([place(0, 10)])
  const unusable = {
    ...place(1, 10),
    timestampMs: 'yesterday' as unknown as number,
    key: undefined as unknown as string,
  }
  expect(() => store.append([place(0, 10), place(1, 10), unusable])).toThrow(/bound to SQLite parameter/)
  expect(store.append([place(0, 10), place(1, 10)])).toEqual([
    { partition: 0, offset: 1 },
    { partition: 1, offset: 0 },
  ])
})

test('what another process appended is seen, and asked for once', () => {
  const directory = temporaryDirectory()
  const [one, other] = [openStore(1, directory), openStore(1, directory)]
  one.database.changedElsewhere()
  expect(one.database.changedElsewhere()).toBe(false)
  other.append([place(0, 10)])
  expect(one.database.changedElsewhere()).toBe(true)
  expect(one.database.changedElsewhere()).toBe(false)
  expect(one.fetch(0, 0, 10, Infinity).records).toHaveLength(1)
})

test('an append under a fence that was raised above its epoch leaves nothing, in any process', () => {
  const directory = temporaryDirectory()
  const [one, other] = [openStore(1, directory), openStore(1, directory)]
  one.raiseFence({ name: 'writer', epoch: 1 })
  one.append([place(0, 10)], { name: 'writer', epoch: 1 })
  other.raiseFence({ name: 'writer', epoch: 2 })
  expect(() => one.append([place(0, 10)], { name: 'writer', epoch: 1 })).toThrow(/Another process is the writer/)
  one.raiseFence({ name: 'writer', epoch: 1 })
  expect(() => one.append([place(0, 10)], { name: 'writer', epoch: 1 })).toThrow(/epoch 1/)
  expect(other.append([place(0, 10)], { name: 'writer', epoch: 2 })).toEqual([{ partition: 0, offset: 1 }])
  expect(one.append([place(0, 10)], { name: 'another writer', epoch: 1 })).toEqual([{ partition: 0, offset: 2 }])
})
