import type { FileHandle } from 'node:fs/promises'
import { readRange } from '../tensor-file.js'
import { GgufCursor, MoreBytesNeeded } from './cursor.js'
import { invalidGguf, truncatedGguf, unsupportedGguf } from './errors.js'
import { type GgmlType, ggmlTypes, storedBytes } from './tensor-types.js'

export type GgufValue = string | number | bigint | boolean | readonly GgufValue[]

/** Where one tensor lies: bytes [begin, end) of the file. */
export interface GgufTensor {
  /** Row-major: the last axis is contiguous. */
  readonly shape: readonly number[]
  readonly type: GgmlType
  readonly begin: number
  readonly end: number
}

/** What stands before the tensors' bytes. */
export interface GgufHeader {
  readonly version: number
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: ReadonlyMap<string, GgufTensor>
}

const limits = { headerBytes: 2 ** 26, entries: 2 ** 16, keyBytes: 2 ** 16, nameBytes: 256, axes: 4, depth: 3 }
const firstReadBytes = 2 ** 21

/** Reads as much of the file as its header takes, checked: nothing is made larger than the file itself could fill. */
export async function readGgufHeader(handle: FileHandle, fileBytes: number, file: string): Promise<GgufHeader> {
  const most = Math.min(fileBytes, limits.headerBytes)
  for (let length = Math.min(firstReadBytes, most); ;) {
    try {
      return parseGgufHeader(await readRange(handle, file, 0, length), fileBytes, file)
    } catch (thrown) {
      if (!(thrown instanceof MoreBytesNeeded)) throw thrown
      if (thrown.bytes > most) throw invalidGguf(file, `its header is longer than ${limits.headerBytes} bytes`)
      length = Math.min(Math.max(2 * length, thrown.bytes), most)
    }
  }
}

/** The header in a file's first bytes, GGUF version 2 or 3. Throws MoreBytesNeeded where they end too early. */
export function parseGgufHeader(bytes: Uint8Array, fileBytes: number, file: string): GgufHeader {
  const cursor = new GgufCursor(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), fileBytes, file)
  const version = readVersion(cursor)
  const tensorCount = cursor.count('the number of tensors', limits.entries)
  const metadata = readMetadata(cursor, cursor.count('the number of metadata entries', limits.entries))
  const described = Array.from({ length: tensorCount }, () => readTensorInfo(cursor))
  const dataStart = roundUp(cursor.at, alignmentOf(metadata, file))
  return { version, metadata, tensors: placeTensors(described, dataStart, fileBytes, file) }
}

function readVersion(cursor: GgufCursor): number {
  cursor.expect(24, 'the header')
  if (cursor.u32() !== 0x46554747) throw cursor.invalid('it does not begin with "GGUF"', 0)
  const version = cursor.u32()
  if (version === 2 || version === 3) return version
  const isSwapped = version === 0x02000000 || version === 0x03000000
  throw unsupportedGguf(cursor.file, isSwapped ? 'it is big-endian' : `GGUF version ${version} is not 2 or 3`)
}

function readMetadata(cursor: GgufCursor, count: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>()
  for (let i = 0; i < count; i++) {
    const start = cursor.at
    const key = cursor.text()
    if (key.length > limits.keyBytes) throw cursor.invalid(`a key has ${key.length} characters`, start)
    if (metadata.has(key)) throw cursor.invalid(`the key "${key}" is there twice`, start)
    metadata.set(key, readValue(cursor, cursor.u32(), 0))
  }
  return metadata
}

type Reader = (cursor: GgufCursor) => GgufValue

/** By type number; with the fewest bytes that a value takes. */
const valueReaders: readonly (readonly [minBytes: number, read: Reader] | undefined)[] = [
  [1, (c) => c.u8()],
  [1, (c) => c.i8()],
  [2, (c) => c.u16()],
  [2, (c) => c.i16()],
  [4, (c) => c.u32()],
  [4, (c) => c.i32()],
  [4, (c) => c.f32()],
  [1, (c) => c.flag()],
  [8, (c) => c.text()],
  undefined, // an array, see below
  [8, (c) => c.u64()],
  [8, (c) => c.i64()],
  [8, (c) => c.f64()],
]
const arrayType = 9

function readValue(cursor: GgufCursor, type: number, depth: number): GgufValue {
  if (type === arrayType) return readArray(cursor, depth + 1)
  const reader = valueReaders[type]
  if (reader === undefined) throw cursor.invalid(`a value has the unknown type ${type}`, cursor.at - 4)
  return reader[1](cursor)
}

function readArray(cursor: GgufCursor, depth: number): readonly GgufValue[] {
  if (depth > limits.depth) throw cursor.invalid(`arrays lie more than ${limits.depth} deep`, cursor.at)
  const type = cursor.u32()
  const count = cursor.count('the length of an array', limits.headerBytes)
  cursor.expect(count * (valueReaders[type]?.[0] ?? 12), `an array of ${count} values`)
  const values: GgufValue[] = []
  for (let i = 0; i < count; i++) values.push(readValue(cursor, type, depth))
  return values
}

interface TensorInfo extends Pick<GgufTensor, 'shape' | 'type'> {
  readonly name: string
  /** From the start of the tensors' bytes. */
  readonly offset: number
}

function readTensorInfo(cursor: GgufCursor): TensorInfo {
  const start = cursor.at
  const name = cursor.text()
  const fail = (problem: string): Error => cursor.invalid(`tensor "${name}" ${problem}`, start)
  if (name.length > limits.nameBytes) throw cursor.invalid(`a tensor's name has ${name.length} characters`, start)
  const axes = cursor.u32()
  if (axes === 0 || axes > limits.axes) throw fail(`has ${axes} axes`)
  const innermostFirst = Array.from({ length: axes }, () => cursor.count('a size', Number.MAX_SAFE_INTEGER))
  const shape = innermostFirst.toReversed()
  if (shape.includes(0)) throw fail(`has the shape [${shape.join(', ')}]`)
  const typeId = cursor.u32()
  const type = ggmlTypes.get(typeId)
  if (type === undefined) throw fail(`has the unknown type ${typeId}`)
  if (shape.at(-1)! % type.blockElements !== 0) {
    throw fail(
      `has rows of ${shape.at(-1)} values, which ${type.name} cannot divide into blocks of ${type.blockElements}`,
    )
  }
  return { name, shape, type, offset: cursor.count('an offset', Number.MAX_SAFE_INTEGER) }
}

function placeTensors(
  described: readonly TensorInfo[],
  dataStart: number,
  fileBytes: number,
  file: string,
): ReadonlyMap<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>()
  let previousEnd = dataStart
  for (const { name, shape, type, offset } of described.toSorted((a, b) => a.offset - b.offset)) {
    const begin = dataStart + offset
    const end = begin + storedBytes(type, shape)
    if (tensors.has(name)) throw invalidGguf(file, `tensor "${name}" is there twice`, { tensor: name })
    if (end > fileBytes) throw truncatedGguf(file, `tensor "${name}", from byte ${begin},`, end, fileBytes)
    if (begin < previousEnd) {
      const problem = `tensor "${name}" begins at byte ${begin}, before the one before it ends at ${previousEnd}`
      throw invalidGguf(file, problem, { tensor: name, offset: begin })
    }
    tensors.set(name, { shape, type, begin, end })
    previousEnd = end
  }
  return tensors
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>, file: string): number {
  const alignment = metadata.get('general.alignment') ?? 32
  if (typeof alignment === 'number' && alignment >= 8 && alignment <= 2 ** 16 && alignment % 8 === 0) return alignment
  throw invalidGguf(file, `general.alignment is ${String(alignment)}`)
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step
}
