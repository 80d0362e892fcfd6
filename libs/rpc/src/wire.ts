/**
 * The Protobuf wire format as far as the standard gRPC services and file descriptors need it, by hand: generated code
 * would be ten times as long. https://protobuf.dev/programming-guides/encoding
 */

export interface WireField {
  readonly number: number
  /** A number for a varint, bytes for text, bytes and messages. Fields of 4 or 8 bytes are passed over. */
  readonly value: number | Buffer
}

const VARINT = 0
const FIXED_64 = 1
const LENGTH_DELIMITED = 2
const FIXED_32 = 5

/** The fields of one message in order. Varints above 2^53 lose their last bits. Throws RangeError for damage. */
export function readFields(bytes: Buffer): WireField[] {
  const fields: WireField[] = []
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]
      if (byte === undefined || scale > 2 ** 63) throw new RangeError('a number ends outside the message')
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  const skip = (length: number): number => {
    if (length > bytes.length - at) throw new RangeError('a field ends outside the message')
    const begin = at
    at += length
    return begin
  }
  while (at < bytes.length) {
    const tag = varint()
    const number = Math.floor(tag / 8)
    const kind = tag % 8
    if (kind === VARINT) fields.push({ number, value: varint() })
    else if (kind === LENGTH_DELIMITED) fields.push({ number, value: bytes.subarray(skip(varint()), at) })
    else if (kind === FIXED_64) skip(8)
    else if (kind === FIXED_32) skip(4)
    else throw new RangeError(`wire type ${kind} is not used here`)
  }
  return fields
}

/** Text or bytes of every field `number`, in order. */
export function bytesOf(fields: readonly WireField[], number: number): Buffer[] {
  return fields.flatMap((field) => (field.number === number && typeof field.value !== 'number' ? [field.value] : []))
}

/** The last text of field `number`; empty when there is none. */
export function textOf(fields: readonly WireField[], number: number): string {
  return bytesOf(fields, number).at(-1)?.toString('utf8') ?? ''
}

/** One encoded field: text, bytes or a message, or a whole number from 0 to 2^31 - 1. */
export function field(number: number, value: string | Uint8Array | number): Buffer {
  if (typeof value === 'number') return Buffer.from([...varintBytes(number * 8 + VARINT), ...varintBytes(value)])
  const bytes = Buffer.from(value)
  return Buffer.concat([
    Buffer.from([...varintBytes(number * 8 + LENGTH_DELIMITED), ...varintBytes(bytes.length)]),
    bytes,
  ])
}

function varintBytes(value: number): number[] {
  return value < 128 ? [value] : [128 + (value % 128), ...varintBytes(Math.floor(value / 128))]
}
