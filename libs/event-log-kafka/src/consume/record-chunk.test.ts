import { PlateauError } from '@plateau/contracts'
import { expect, test } from 'vitest'
import { registerCodecs } from '../codecs/codecs.js'
import type { Compression } from '../options.js'
import { type BatchRecord, encodeBatch, stamp } from '../produce/record-batch.js'
import type { AbortedTransaction } from './fetch-response.js'
import { RecordChunk } from './record-chunk.js'

registerCodecs()

test('records come out with their offsets, keys, headers, times and values, null ones too', async () => {
  const headers = { ce_id: '7', traceparent: '', grüße: 'ä' }
  const batch = await batchAt(40, [
    record('key', 'value', { headers, timestampMs: 1_700_000_000_123 }),
    { ...record('', null), timestampMs: 1_700_000_000_100 },
  ])
  const chunk = chunkOf([batch], 40)
  expect(await chunk.take(10, 1e6)).toEqual([
    { ...place, offset: 40, key: 'key', value: Buffer.from('value'), headers, timestampMs: 1_700_000_000_123 },
    { ...place, offset: 41, key: '', value: null, headers: {}, timestampMs: 1_700_000_000_100 },
  ])
  expect([chunk.position, chunk.hasMore]).toEqual([42, false])
})

test('as many at a time as asked for, across batches, and by bytes', async () => {
  const chunk = chunkOf([await batchAt(0, records(3)), await batchAt(3, records(3))], 0)
  expect(offsets(await chunk.take(4, 1e6))).toEqual([0, 1, 2, 3])
  expect(chunk.position).toBe(4)
  expect(offsets(await chunk.take(4, 1))).toEqual([4])
  expect(offsets(await chunk.take(4, 1e6))).toEqual([5])
  expect(await chunk.take(4, 1e6)).toEqual([])
})

test('a fetch from the middle of a batch begins there; a batch that is cut off is left for the next fetch', async () => {
  const cut = (await batchAt(5, records(3))).subarray(0, -1)
  const chunk = chunkOf([await batchAt(0, records(5)), cut], 3)
  expect(chunk.end).toBe(5)
  expect(offsets(await chunk.take(10, 1e6))).toEqual([3, 4])
  expect(chunk.hasMore).toBe(false)
})

test('nothing but a cut batch holds nothing', async () => {
  expect(chunkOf([(await batchAt(5, records(3))).subarray(0, 30)], 5).hasMore).toBe(false)
})

for (const compression of ['gzip', 'lz4', 'zstd'] as const) {
  test(`a batch packed with ${compression} reads like any other`, async () => {
    const chunk = chunkOf([await batchAt(7, records(20), { compression })], 8)
    expect(offsets(await chunk.take(100, 1e6))).toEqual(Array.from({ length: 19 }, (_, i) => 8 + i))
  })
}

test('what was given up is skipped, of its producer only, and from where it began until its mark', async () => {
  const chunk = chunkOf(
    [
      await batchAt(0, records(1), { producerId: 5n, isTransactional: true }),
      markAt(1, 5n, 'commit'),
      await batchAt(2, records(2), { producerId: 5n, isTransactional: true }),
      await batchAt(4, records(1), { producerId: 6n, isTransactional: true }),
      markAt(5, 5n, 'abort'),
      await batchAt(6, records(1), { producerId: 5n, isTransactional: true }),
      markAt(7, 6n, 'commit'),
      markAt(8, 5n, 'commit'),
      await batchAt(9, records(1)),
    ],
    0,
    [{ producerId: 5n, firstOffset: 2 }],
  )
  expect(offsets(await chunk.take(100, 1e6))).toEqual([0, 4, 6, 9])
})

test('the marks behind a record count as read along with it', async () => {
  const mine = { producerId: 5n, isTransactional: true }
  const chunk = chunkOf([await batchAt(0, records(2), mine), markAt(2, 5n, 'commit'), await batchAt(3, records(1))], 0)
  await chunk.take(1, 1e6)
  expect(chunk.position).toBe(1)
  await chunk.take(1, 1e6)
  expect(chunk.position).toBe(3)
})

test('a chunk of marks and given-up records only yields nothing, and moves the position behind them', async () => {
  const chunk = chunkOf(
    [await batchAt(3, records(2), { producerId: 5n, isTransactional: true }), markAt(5, 5n, 'abort')],
    3,
    [{ producerId: 5n, firstOffset: 3 }],
  )
  expect(chunk.hasMore).toBe(true)
  expect(await chunk.take(10, 1e6)).toEqual([])
  expect(chunk.position).toBe(6)
})

test('a batch that compaction emptied, or thinned out, moves the position to its end', async () => {
  const thinned = await batchAt(0, records(1))
  thinned.writeInt32BE(9, LAST_OFFSET_DELTA_AT)
  const emptied = (await batchAt(10, records(1))).subarray(0, HEADER_BYTES)
  emptied.writeInt32BE(HEADER_BYTES - 12, LENGTH_AT)
  emptied.writeInt32BE(4, LAST_OFFSET_DELTA_AT)
  emptied.writeInt32BE(0, COUNT_AT)
  const chunk = chunkOf([thinned, emptied], 0)
  expect(offsets(await chunk.take(10, 1e6))).toEqual([0])
  expect(chunk.position).toBe(15)
})

test('a batch with an unknown compression is one error that says where it is', async () => {
  const odd = await batchAt(12, records(2))
  odd.writeInt16BE(7, ATTRIBUTES_AT)
  const chunk = chunkOf([await batchAt(10, records(2)), odd], 10)
  expect(offsets(await chunk.take(2, 1e6))).toEqual([10, 11])
  const thrown = await chunk.take(2, 1e6).catch((reason: unknown) => reason)
  expect(thrown).toBeInstanceOf(PlateauError)
  expect(thrown).toMatchObject({ code: 'BAD_BATCH', facts: { topic: 't', partition: 2, offset: 12 } })
})

test('damaged bytes are such an error, too', async () => {
  const gzipped = await batchAt(0, records(5), { compression: 'gzip' })
  gzipped.fill(0xff, HEADER_BYTES + 4)
  const oldFormat = await batchAt(0, records(5))
  oldFormat.writeInt8(1, 16)
  const lying = await batchAt(0, records(1))
  lying.writeInt32BE(3, COUNT_AT)
  for (const bytes of [gzipped, oldFormat, lying]) {
    const chunk = chunkOf([bytes], 0)
    expect(chunk.hasMore).toBe(true)
    await expect(chunk.take(10, 1e6)).rejects.toMatchObject({ code: 'BAD_BATCH' })
  }
})

const place = { topic: 't', partition: 2 }
const LENGTH_AT = 8
const ATTRIBUTES_AT = 21
const LAST_OFFSET_DELTA_AT = 23
const COUNT_AT = 57
const HEADER_BYTES = 61
const CONTROL = 0x20
const TRANSACTIONAL = 0x10

function chunkOf(batches: readonly Buffer[], fetchOffset: number, aborted: readonly AbortedTransaction[] = []) {
  const fetched = { ...place, errorCode: 0, lastStableOffset: 100, aborted, records: Buffer.concat(batches) }
  return new RecordChunk(fetched, fetchOffset, (value) => value)
}

interface BatchOptions {
  readonly compression?: Compression
  readonly producerId?: bigint
  readonly isTransactional?: boolean
}

async function batchAt(offset: number, of: readonly BatchRecord[], options: BatchOptions = {}): Promise<Buffer> {
  const { compression = 'none', producerId = -1n, isTransactional = false } = options
  const bytes = await encodeBatch(of, { compression, isTransactional })
  stamp(bytes, { producerId, producerEpoch: 0, sequence: 0 })
  bytes.writeBigInt64BE(BigInt(offset), 0)
  return bytes
}

/** As a broker writes it: one record, key version 0 and type 0 (given up) or 1 (committed), value version and epoch. */
function markAt(offset: number, producerId: bigint, kind: 'abort' | 'commit'): Buffer {
  const key = Buffer.from([0, 0, 0, kind === 'commit' ? 1 : 0])
  const value = Buffer.from([0, 0, 0, 0, 0, 9])
  const body = Buffer.concat([
    Buffer.from([0, 0, 0, key.length * 2]),
    key,
    Buffer.from([value.length * 2]),
    value,
    Buffer.from([0]),
  ])
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), Buffer.from([body.length * 2]), body])
  bytes.writeBigInt64BE(BigInt(offset), 0)
  bytes.writeInt32BE(bytes.length - 12, LENGTH_AT)
  bytes.writeInt8(2, 16)
  bytes.writeInt16BE(CONTROL | TRANSACTIONAL, ATTRIBUTES_AT)
  bytes.writeBigInt64BE(producerId, 43)
  bytes.writeInt32BE(1, COUNT_AT)
  return bytes
}

function record(key: string, value: string | null, changes: Partial<BatchRecord> = {}): BatchRecord {
  const bytes = value === null ? null : Buffer.from(value)
  return { key: Buffer.from(key), value: bytes, headers: {}, timestampMs: 1_700_000_000_000, ...changes }
}

function records(count: number): BatchRecord[] {
  return Array.from({ length: count }, (_, i) => record(`key-${i}`, `value ${i}`.repeat(10)))
}

function offsets(of: readonly { readonly offset: number }[]): number[] {
  return of.map(({ offset }) => offset)
}
