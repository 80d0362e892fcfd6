import { messageOf, unframe, type Codec } from '@plateau/contracts'

/** A value as a message: all of it, its readable beginning, or nothing. */
export interface DecodedValue {
  readonly message: unknown
  /** Undefined when the whole value is the message. `atByte` counts within the message. */
  readonly stopped: { readonly atByte: number; readonly why: string } | undefined
}

/** Decodes as many whole top-level fields as there are: what is cut off in the middle still says whose it was. */
export function decodeAsFar(codec: Codec<unknown>, framed: Uint8Array): DecodedValue {
  const value = payloadOf(framed)
  const readable = wholeFields(value)
  try {
    if (readable.why === undefined) return { message: codec.decode(value), stopped: undefined }
  } catch (error) {
    // The fields are whole, but one of them holds something else than its type.
    return { message: undefined, stopped: { atByte: 0, why: messageOf(error) } }
  }
  const stopped = { atByte: readable.end, why: readable.why }
  try {
    return { message: readable.end === 0 ? undefined : codec.decode(value.subarray(0, readable.end)), stopped }
  } catch {
    return { message: undefined, stopped }
  }
}

/** A value for schema registry clients holds the message behind a frame. A broken frame is left to be found out. */
function payloadOf(value: Uint8Array): Uint8Array {
  try {
    return unframe(value).payload
  } catch {
    return value
  }
}

/** Where the last whole field ends, and why not at the value's end. */
function wholeFields(value: Uint8Array): { readonly end: number; readonly why: string | undefined } {
  let end = 0
  while (end < value.length) {
    const tag = varint(value, end)
    if (tag === undefined) return { end, why: 'a field number is cut off' }
    const field = Math.floor(tag.value / 8)
    if (field === 0) return { end, why: 'field number 0: this is no Protobuf message' }
    const after = fieldEnd(value, tag.end, tag.value % 8)
    if (typeof after === 'string') return { end, why: `field ${field} ${after}` }
    if (after > value.length)
      return { end, why: `field ${field} is cut off: ${after - value.length} bytes are missing` }
    end = after
  }
  return { end, why: undefined }
}

function fieldEnd(value: Uint8Array, at: number, wireType: number): number | string {
  switch (wireType) {
    case 0:
      return varint(value, at)?.end ?? 'is cut off'
    case 1:
      return at + 8
    case 2: {
      const length = varint(value, at)
      return length === undefined ? 'is cut off' : length.end + length.value
    }
    case 5:
      return at + 4
    default:
      return `has wire type ${wireType}, which no field of ours has`
  }
}

function varint(value: Uint8Array, at: number): { readonly value: number; readonly end: number } | undefined {
  let result = 0
  for (let i = 0; i < 10; i++) {
    const byte = value[at + i]
    if (byte === undefined) return undefined
    result += (byte & 127) * 2 ** (7 * i)
    if (byte < 128) return { value: result, end: at + i + 1 }
  }
  return undefined
}
