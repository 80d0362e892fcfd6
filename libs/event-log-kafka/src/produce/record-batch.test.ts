import { expect, test } from 'vitest'
import { readBatchHeader, readRecords } from '../consume/record-batch.js'
import { crc32c } from './crc32c.js'
import { BATCH_OVERHEAD_BYTES, type BatchRecord, encodeBatch, RECORD_OVERHEAD_BYTES, stamp } from './record-batch.js'

const CRC_AT = 17
const ATTRIBUTES_AT = 21

const records: readonly BatchRecord[] = [
  {
    key: Buffer.from('a'),
    value: Buffer.from('first'),
    headers: { ce_id: '1', 'x-ü': '🙂' },
    timestampMs: 1_700_000_000_000,
  },
  { key: Buffer.alloc(0), value: null, headers: {}, timestampMs: 1 },
  { key: Buffer.from('🙂'), value: Buffer.alloc(300, 7), headers: { empty: '' }, timestampMs: 1_900_000_000_000 },
]

test('a batch reads back as it was written, times before and long after the first one included', async () => {
  const batch = await encodeBatch(records, { compression: 'none' })
  const header = readBatchHeader(batch, 0)!
  expect(header).toMatchObject({ recordCount: 3, bytes: batch.length, maxTimestampMs: 1_900_000_000_000 })
  const read = await readRecords(batch, 0, header, 0, { topic: 't', partition: 0, decodeValue: (value) => value })
  expect(read.map(({ key, headers, timestampMs }) => ({ key, headers, timestampMs }))).toEqual(
    records.map(({ key, headers, timestampMs }) => ({ key: key.toString(), headers, timestampMs })),
  )
  expect(read.map(({ value }) => value?.length)).toEqual([5, undefined, 300])
})

test('a stamp changes the writer, its number and the checksum, and nothing else', async () => {
  const batch = await encodeBatch(records, { compression: 'none' })
  stamp(batch, { producerId: 7n, producerEpoch: 1, sequence: 2 ** 31 - 1 })
  const before = Buffer.from(batch)
  stamp(batch, { producerId: 2n ** 40n, producerEpoch: 2, sequence: 0 })
  const changed = [...batch.keys()].filter((i) => batch[i] !== before[i])
  expect(changed.every((i) => (i >= CRC_AT && i < ATTRIBUTES_AT) || (i >= 43 && i < 57))).toBe(true)
  expect(batch.readUInt32BE(CRC_AT)).toBe(crc32c(batch, ATTRIBUTES_AT))
})

test('the allowance for what surrounds a record is enough', async () => {
  const size = async (changes: Partial<BatchRecord>) =>
    (await encodeBatch([{ ...records[0]!, headers: {}, ...changes }], { compression: 'none' })).length
  for (const valueBytes of [0, 100, 20_000, 3_000_000]) {
    const value = Buffer.alloc(valueBytes)
    expect(await size({ value })).toBeLessThanOrEqual(BATCH_OVERHEAD_BYTES + RECORD_OVERHEAD_BYTES + 1 + valueBytes)
  }
})

test.for([
  ['', 0],
  ['123456789', 0xe3069283],
  ['\0'.repeat(32), 0x8a9136aa],
] as const)('CRC-32C of %j', ([text, expected]) => {
  expect(crc32c(Buffer.from(text, 'latin1'))).toBe(expected)
})
