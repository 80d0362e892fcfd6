import { PlateauError } from './errors.js'

/**
 * Confluent's wire format, for consumers whose deserialiser asks a schema registry: 0x00, the schema's id (int32, big
 * endian), the path to the message within its file, the message. The path is a count and that many indices, each a
 * zig-zag varint; the usual path, [0], is the single byte 0x00.
 *
 * A bare Protobuf message cannot begin with 0x00 (that would be a tag with field number 0, which does not exist), so
 * framed and bare values can be told apart and may share a topic.
 */
const MAGIC = 0
const ID_BYTES = 5
const MAX_DEPTH = 32

export interface Unframed {
  /** A view of the bytes that were given, not a copy. */
  readonly payload: Uint8Array
  /** The registry's id of the schema; undefined when the value was not framed. */
  readonly schemaId?: number
  /** Where the message stands in its file: [2] is the third one, [2, 0] the first one declared inside it. */
  readonly messagePath?: readonly number[]
}

/** `messageIndex` counts the file's top-level messages from 0, as `TopicSpec.schema` does. */
export function frameConfluent(schemaId: number, messageIndex: number, payload: Uint8Array): Buffer {
  if (!isInt32(schemaId) || !isInt32(messageIndex)) {
    throw new RangeError(`schema id ${schemaId} and message index ${messageIndex} must be whole, from 0 to 2^31 - 1`)
  }
  const path = messageIndex === 0 ? [0] : [...zigZagVarint(1), ...zigZagVarint(messageIndex)]
  const framed = Buffer.allocUnsafe(ID_BYTES + path.length + payload.length)
  framed[0] = MAGIC
  framed.writeInt32BE(schemaId, 1)
  framed.set(path, ID_BYTES)
  framed.set(payload, ID_BYTES + path.length)
  return framed
}

/** Throws PlateauError BAD_FRAME for a value that begins like a frame and is not one. */
export function unframe(bytes: Uint8Array): Unframed {
  if (bytes.length === 0 || bytes[0] !== MAGIC) return { payload: bytes }
  if (bytes.length <= ID_BYTES) throw badFrame(bytes, 'it ends within its first six bytes')
  const schemaId = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getInt32(1)
  if (schemaId < 0) throw badFrame(bytes, `its schema id is ${schemaId}`)

  const depth = readZigZagVarint(bytes, ID_BYTES)
  if (depth.value < 0 || depth.value > MAX_DEPTH) {
    throw badFrame(bytes, `its message path would have ${depth.value} indices`)
  }
  if (depth.value === 0) return { payload: bytes.subarray(depth.end), schemaId, messagePath: [0] }

  const messagePath: number[] = []
  let at = depth.end
  while (messagePath.length < depth.value) {
    const index = readZigZagVarint(bytes, at)
    if (index.value < 0) throw badFrame(bytes, `its message path holds ${index.value}`)
    messagePath.push(index.value)
    at = index.end
  }
  return { payload: bytes.subarray(at), schemaId, messagePath }
}

function isInt32(n: number): boolean {
  return Number.isInteger(n) && n >= 0 && n <= 0x7fff_ffff
}

function zigZagVarint(n: number): number[] {
  // Not a shift: a 31-bit index doubled needs 32 bits.
  let rest = n * 2
  const bytes: number[] = []
  while (rest > 127) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return [...bytes, rest]
}

function readZigZagVarint(bytes: Uint8Array, start: number): { value: number; end: number } {
  let raw = 0
  for (let i = 0; i < 5; i++) {
    const byte = bytes[start + i]
    if (byte === undefined) throw badFrame(bytes, 'it ends within its message path')
    raw += (byte & 127) * 128 ** i
    if (byte < 128) {
      if (raw > 0xffff_ffff) break
      return { value: raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2, end: start + i + 1 }
    }
  }
  throw badFrame(bytes, 'a number in its message path is larger than 32 bits')
}

function badFrame(bytes: Uint8Array, why: string): PlateauError {
  return new PlateauError(
    'BAD_FRAME',
    `a value of ${bytes.length} bytes begins with 0x00, as Confluent's wire format does, but ${why}`,
    { facts: { bytes: bytes.length, head: Buffer.from(bytes.subarray(0, 12)).toString('hex') } },
  )
}
