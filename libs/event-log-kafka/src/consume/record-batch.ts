import type { LogRecord } from '@plateau/event-log'
import { lookupCodecByAttributes } from '../kafkajs/modules.js'
import { ByteReader } from './byte-reader.js'

// A record batch, version 2: base offset (int64), length of what follows (int32), leader epoch (int32), magic (int8),
// CRC (int32), attributes (int16), last offset delta (int32), first and largest timestamp (int64 each), producer id
// (int64) and epoch (int16), first sequence (int32), number of records (int32), records.
const LENGTH_AT = 8
const BATCH_AT = 12
const MAGIC_AT = 16
const ATTRIBUTES_AT = 21
const HEADER_BYTES = 61

const CODEC_MASK = 0x07
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20

/** Whose records they are, and how values of that topic are read. */
export interface RecordSource {
  readonly topic: string
  readonly partition: number
  readonly decodeValue: (value: Buffer) => Uint8Array
}

export interface BatchHeader {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly attributes: number
  readonly firstTimestampMs: number
  readonly maxTimestampMs: number
  readonly producerId: bigint
  readonly isTransactional: boolean
  /** The mark at the end of a transaction; holds no record of anybody's. */
  readonly isControl: boolean
  readonly recordCount: number
  /** From the batch's first byte. */
  readonly bytes: number
}

/** Undefined where the bytes end before the batch does. */
export function readBatchHeader(bytes: Buffer, at: number): BatchHeader | undefined {
  if (bytes.length - at < HEADER_BYTES) return undefined
  const batchBytes = BATCH_AT + bytes.readInt32BE(at + LENGTH_AT)
  const magic = bytes.readInt8(at + MAGIC_AT)
  if (magic !== 2) throw new RangeError(`message format ${magic}; Kafka 4 and this reader know only 2`)
  if (bytes.length - at < batchBytes) return undefined
  const reader = new ByteReader(bytes, at)
  const baseOffset = reader.int64()
  reader.at = at + ATTRIBUTES_AT
  const attributes = reader.int16()
  const lastOffset = baseOffset + reader.int32()
  const firstTimestampMs = reader.int64()
  const maxTimestampMs = reader.int64()
  const producerId = reader.bigint64()
  reader.at += 6
  return {
    baseOffset,
    lastOffset,
    attributes,
    firstTimestampMs,
    maxTimestampMs,
    producerId,
    isTransactional: (attributes & TRANSACTIONAL) !== 0,
    isControl: (attributes & CONTROL) !== 0,
    recordCount: reader.int32(),
    bytes: batchBytes,
  }
}

/** Whether a control batch says that its transaction was given up. Its one record's key is a version and a type. */
export function isAbortMark(bytes: Buffer, at: number): boolean {
  const reader = new ByteReader(bytes, at + HEADER_BYTES)
  reader.varint()
  reader.int8()
  reader.varint()
  reader.varint()
  const key = reader.varBytes()
  return key !== null && key.length >= 4 && key.readInt16BE(2) === 0
}

/** The batch's records from `fromOffset` on. Values are views into the batch, or into what it was inflated to. */
export async function readRecords(
  bytes: Buffer,
  at: number,
  header: BatchHeader,
  fromOffset: number,
  source: RecordSource,
): Promise<LogRecord[]> {
  const packed = bytes.subarray(at + HEADER_BYTES, at + header.bytes)
  const isPacked = (header.attributes & CODEC_MASK) !== 0
  const reader = new ByteReader(isPacked ? await inflated(packed, header.attributes) : packed)
  const records: LogRecord[] = []
  for (let left = header.recordCount; left > 0; left--) {
    const record = readRecord(reader, header, source)
    if (record.offset >= fromOffset) records.push(record)
  }
  return records
}

async function inflated(packed: Buffer, attributes: number): Promise<Buffer> {
  const codec = lookupCodecByAttributes(attributes)
  if (codec === null || codec === undefined) throw new RangeError(`unknown compression ${attributes & CODEC_MASK}`)
  return codec.decompress(packed)
}

function readRecord(
  reader: ByteReader,
  header: BatchHeader,
  { topic, partition, decodeValue }: RecordSource,
): LogRecord {
  const length = reader.varint()
  const end = reader.at + length
  reader.at += 1 // attributes: none are defined
  const timestampMs = header.firstTimestampMs + reader.varint()
  const offset = header.baseOffset + reader.varint()
  const key = reader.varString()
  const value = reader.varBytes()
  const headers: Record<string, string> = {}
  for (let left = reader.varint(); left > 0; left--) {
    const name = reader.varString()
    headers[name] = reader.varString()
  }
  if (reader.at !== end) throw new RangeError(`a record says it has ${length} bytes and has others`)
  const isAppendTime = (header.attributes & LOG_APPEND_TIME) !== 0
  return {
    topic,
    partition,
    offset,
    key,
    value: value === null ? null : decodeValue(value),
    headers,
    timestampMs: isAppendTime ? header.maxTimestampMs : timestampMs,
  }
}
