import { COMPRESSION_IDS, compress } from '../codecs/codecs.js'
import type { Compression } from '../options.js'
import { crc32c } from './crc32c.js'

/**
 * Kafka's record batch, version 2 (kafka.apache.org/documentation/#recordbatch), written into one buffer. kafkajs writes
 * the same, an object per record on the way; more important here: the bytes are made once, so what is sent again is
 * the same batch to the last bit.
 */
const HEADER_BYTES = 61
const MAGIC = 2
/** Everything from the attributes on is covered by the checksum. */
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const PRODUCER_AT = 43
const TRANSACTIONAL = 0x10

/** Upper bound of what surrounds one record's key, value and headers. */
export const RECORD_OVERHEAD_BYTES = 32
export const BATCH_OVERHEAD_BYTES = HEADER_BYTES

export interface BatchRecord {
  readonly key: Buffer
  readonly value: Uint8Array | null
  readonly headers: Readonly<Record<string, string>>
  readonly timestampMs: number
}

/** Who wrote a batch, and its place among all that this writer wrote to the partition: how the broker knows a repetition. */
export interface Stamp {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly sequence: number
}

/** A batch that lacks only its stamp. */
export async function encodeBatch(
  records: readonly BatchRecord[],
  { compression, isTransactional = false }: { readonly compression: Compression; readonly isTransactional?: boolean },
): Promise<Buffer> {
  const body = await compress(compression, encodeRecords(records))
  const batch = Buffer.allocUnsafe(HEADER_BYTES + body.length)
  const base = BigInt(records[0]!.timestampMs)
  const latest = BigInt(records.reduce((max, { timestampMs }) => Math.max(max, timestampMs), 0))
  batch.writeBigInt64BE(0n, 0) // the broker gives the offset
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(-1, 12) // no leader epoch known
  batch.writeInt8(MAGIC, 16)
  batch.writeInt16BE(COMPRESSION_IDS[compression] | (isTransactional ? TRANSACTIONAL : 0), ATTRIBUTES_AT)
  batch.writeInt32BE(records.length - 1, 23)
  batch.writeBigInt64BE(base, 27)
  batch.writeBigInt64BE(latest, 35)
  batch.writeInt32BE(records.length, 57)
  batch.set(body, HEADER_BYTES)
  return batch
}

/** Signs the batch. Nothing else in it depends on the producer. */
export function stamp(batch: Buffer, { producerId, producerEpoch, sequence }: Stamp): void {
  batch.writeBigInt64BE(producerId, PRODUCER_AT)
  batch.writeInt16BE(producerEpoch, PRODUCER_AT + 8)
  batch.writeInt32BE(sequence, PRODUCER_AT + 10)
  batch.writeUInt32BE(crc32c(batch, ATTRIBUTES_AT), CRC_AT)
}

function encodeRecords(records: readonly BatchRecord[]): Buffer {
  const baseMs = records[0]!.timestampMs
  const sizes = records.map((record, i) => bodySize(record, record.timestampMs - baseMs, i))
  const total = sizes.reduce((sum, size) => sum + varintSize(size) + size, 0)
  const writer = new Writer(Buffer.allocUnsafe(total))
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!
    writer.varint(sizes[i]!)
    writer.byte(0)
    writer.varint(record.timestampMs - baseMs)
    writer.varint(i)
    writer.bytes(record.key)
    writer.bytes(record.value)
    const names = Object.keys(record.headers)
    writer.varint(names.length)
    for (const name of names) {
      writer.text(name)
      writer.text(record.headers[name]!)
    }
  }
  return writer.buffer
}

function bodySize({ key, value, headers }: BatchRecord, timestampDelta: number, offsetDelta: number): number {
  let size = 1 + varintSize(timestampDelta) + varintSize(offsetDelta) + sizedBytes(key.length)
  size += value === null ? 1 : sizedBytes(value.length)
  const names = Object.keys(headers)
  size += varintSize(names.length)
  for (const name of names) size += sizedBytes(Buffer.byteLength(name)) + sizedBytes(Buffer.byteLength(headers[name]!))
  return size
}

function sizedBytes(length: number): number {
  return varintSize(length) + length
}

/** Small magnitudes are short, whatever the sign: 0, -1, 1, -2 become 0, 1, 2, 3. */
function zigZag(n: number): number {
  return n >= 0 ? n * 2 : n * -2 - 1
}

function varintSize(n: number): number {
  let size = 1
  for (let rest = zigZag(n); rest >= 128; rest = Math.floor(rest / 128)) size++
  return size
}

class Writer {
  readonly buffer: Buffer
  #at = 0

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  byte(value: number): void {
    this.buffer[this.#at++] = value
  }

  varint(n: number): void {
    let rest = zigZag(n)
    // Not shifts: the distance between two times can need more than 32 bits.
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.byte((rest % 128) | 128)
    this.byte(rest)
  }

  bytes(value: Uint8Array | null): void {
    if (value === null) return this.varint(-1)
    this.varint(value.length)
    this.buffer.set(value, this.#at)
    this.#at += value.length
  }

  text(value: string): void {
    this.varint(Buffer.byteLength(value))
    this.#at += this.buffer.write(value, this.#at)
  }
}
