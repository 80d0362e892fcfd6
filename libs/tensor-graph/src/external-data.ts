/**
 * Reads and extends what an encoded ONNX model says about tensors in files beside it. A TensorProto's external_data are
 * key-value pairs; runtimes may add their own to location, offset and length.
 */
import { Message } from './message.js'

/** Field numbers of onnx.proto3. */
const graphField = 7
const initializerField = 5
const nameField = 8
const externalDataField = 13

export type ExternalEntries = Readonly<Record<string, string>>

/** The external tensors' entries, by name of the tensor. */
export function readExternalData(model: Uint8Array): Map<string, ExternalEntries> {
  const entries = new Map<string, ExternalEntries>()
  editInitializers(model, (tensor) => {
    const found = entriesOf(tensor)
    if (Object.keys(found).length > 0) entries.set(nameOf(tensor), found)
    return tensor
  })
  return entries
}

/** @param entriesFor what to add for a tensor with these entries; {} adds nothing */
export function addExternalEntries(
  model: Uint8Array,
  entriesFor: (existing: ExternalEntries) => ExternalEntries,
): Uint8Array {
  return editInitializers(model, (tensor) => {
    const existing = entriesOf(tensor)
    if (existing['location'] === undefined) return tensor
    const added = Object.entries(entriesFor(existing)).map(([key, value]): Field => {
      return { number: externalDataField, content: new Message().string(1, key).string(2, value).toBytes() }
    })
    return [...tensor, ...added]
  })
}

/** A field with a length (content), or any other as it stood (whole). */
type Field =
  | { readonly number: number; readonly content: Uint8Array }
  | { readonly number: number; readonly whole: Uint8Array }

function editInitializers(model: Uint8Array, edit: (tensor: readonly Field[]) => readonly Field[]): Uint8Array {
  return within(model, graphField, (graph) => within(graph, initializerField, (tensor) => encode(edit(decode(tensor)))))
}

function within(message: Uint8Array, number: number, edit: (content: Uint8Array) => Uint8Array): Uint8Array {
  return encode(
    decode(message).map((field) =>
      field.number === number && 'content' in field ? { number, content: edit(field.content) } : field,
    ),
  )
}

function entriesOf(tensor: readonly Field[]): ExternalEntries {
  const entries: Record<string, string> = {}
  for (const field of tensor) {
    if (field.number !== externalDataField || !('content' in field)) continue
    const [key, value] = [1, 2].map((number) => stringOf(decode(field.content), number))
    entries[key!] = value!
  }
  return entries
}

function nameOf(tensor: readonly Field[]): string {
  return stringOf(tensor, nameField)
}

function stringOf(fields: readonly Field[], number: number): string {
  const field = fields.find((candidate) => candidate.number === number)
  return field !== undefined && 'content' in field ? Buffer.from(field.content).toString('utf8') : ''
}

/** The fields are views into the message. */
function decode(message: Uint8Array): Field[] {
  const fields: Field[] = []
  for (let at = 0; at < message.length;) {
    const start = at
    const key = readVarint(message, at)
    at = key.end
    const number = Math.floor(key.value / 8)
    const wireType = key.value % 8
    if (wireType === 2) {
      const length = readVarint(message, at)
      at = length.end + length.value
      fields.push({ number, content: message.subarray(length.end, at) })
    } else {
      at = wireType === 0 ? readVarint(message, at).end : at + (wireType === 1 ? 8 : 4)
      fields.push({ number, whole: message.subarray(start, at) })
    }
    if (at > message.length) throw new RangeError(`the ONNX model ends within field ${number}`)
  }
  return fields
}

function readVarint(bytes: Uint8Array, start: number): { readonly value: number; readonly end: number } {
  let value = 0
  for (let at = start, unit = 1; at < bytes.length; at++, unit *= 128) {
    const byte = bytes[at]!
    value += (byte & 127) * unit
    if (byte < 128) return { value, end: at + 1 }
  }
  throw new RangeError('the ONNX model ends within a number')
}

function encode(fields: readonly Field[]): Uint8Array {
  const message = new Message()
  for (const field of fields) {
    if ('whole' in field) message.encoded(field.whole)
    else message.bytes(field.number, field.content)
  }
  return message.toBytes()
}
