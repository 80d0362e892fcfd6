import { PlateauError } from '@plateau/contracts'
import { isJsonObject, type JsonObject } from './json-object.js'
import { elementCount } from './tensor.js'

/** Where one tensor lies: bytes [begin, end) of the file. */
export interface TensorEntry {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>
  readonly metadata: Readonly<Record<string, string>>
}

/** The file begins with the header's length, 8 bytes, little-endian. */
export const prefixBytes = 8

/** The reference implementation's own limit. A real header is far smaller; a random first word is far larger. */
const maxHeaderBytes = 100_000_000

const elementBytes = new Map([
  ...['BOOL', 'U8', 'I8', 'F8_E4M3', 'F8_E5M2'].map((dtype) => [dtype, 1] as const),
  ...['I16', 'U16', 'F16', 'BF16'].map((dtype) => [dtype, 2] as const),
  ...['I32', 'U32', 'F32'].map((dtype) => [dtype, 4] as const),
  ...['I64', 'U64', 'F64'].map((dtype) => [dtype, 8] as const),
])

/** Length of the JSON header, from the file's first bytes. */
export function headerLength(prefix: Uint8Array, fileBytes: number, file: string): number {
  if (prefix.length < prefixBytes) throw truncated(file, prefixBytes, fileBytes)
  const words = new DataView(prefix.buffer, prefix.byteOffset, prefixBytes)
  const length = words.getUint32(0, true) + words.getUint32(4, true) * 2 ** 32
  if (length < 2 || length > maxHeaderBytes) throw invalid(file, `its header claims to be ${length} bytes long`)
  if (prefixBytes + length > fileBytes) throw truncated(file, prefixBytes + length, fileBytes)
  return length
}

/**
 * Parses and checks a header as strictly as the reference implementation: every tensor's bytes fit its shape, and the
 * tensors fill the rest of the file without a gap or an overlap.
 */
export function parseHeader(json: Uint8Array, fileBytes: number, file: string): SafetensorsHeader {
  const { __metadata__: metadata, ...described } = parseObject(json, file)
  const dataStart = prefixBytes + json.length
  const tensors = new Map(Object.entries(described).map(([name, it]) => [name, parseEntry(name, it, dataStart, file)]))
  checkLayout(tensors, dataStart, fileBytes, file)
  return { tensors, metadata: parseMetadata(metadata, file) }
}

function parseObject(json: Uint8Array, file: string): JsonObject {
  let text: string
  let parsed: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json)
    parsed = JSON.parse(text)
  } catch (cause) {
    throw invalid(file, 'its header is not JSON', {}, cause)
  }
  if (!isJsonObject(parsed)) throw invalid(file, 'its header is not a JSON object')
  refuseRepeated(text, file)
  return parsed
}

/** JSON.parse keeps the last of equal names, silently. Only tensors and the metadata are objects in a sound header. */
function refuseRepeated(text: string, file: string): void {
  const seen = new Set<string>()
  for (const [, name] of text.matchAll(/"((?:[^"\\]|\\.)*)"\s*:\s*\{/g)) {
    if (seen.has(name!)) throw invalid(file, `tensor "${name}" is there twice`, { tensor: name! })
    seen.add(name!)
  }
}

function parseMetadata(metadata: unknown, file: string): Record<string, string> {
  if (metadata === undefined) return {}
  if (!isJsonObject(metadata)) throw invalid(file, 'its __metadata__ is not an object')
  return Object.fromEntries(
    Object.entries(metadata).map(([key, value]) => {
      if (typeof value !== 'string') throw invalid(file, `its __metadata__ holds something else than text at "${key}"`)
      return [key, value]
    }),
  )
}

function parseEntry(tensor: string, entry: unknown, dataStart: number, file: string): TensorEntry {
  const fail = (problem: string): PlateauError => invalid(file, `tensor "${tensor}" ${problem}`, { tensor })
  if (!isJsonObject(entry)) throw fail('is not described by an object')
  const { dtype, shape, data_offsets: offsets } = entry
  const width = typeof dtype === 'string' ? elementBytes.get(dtype) : undefined
  if (typeof dtype !== 'string' || width === undefined) throw fail(`has the unknown dtype ${JSON.stringify(dtype)}`)
  if (!isSizes(shape)) throw fail('has a shape that is not a list of sizes')
  if (!isSizes(offsets) || offsets.length !== 2) throw fail('has data_offsets that are not two numbers')
  const [begin, end] = offsets as [number, number]
  const expected = elementCount(shape) * width
  if (end - begin !== expected) {
    throw fail(`of shape [${shape.join(', ')}] and dtype ${dtype} needs ${expected} bytes, but has ${end - begin}`)
  }
  return { dtype, shape, begin: dataStart + begin, end: dataStart + end }
}

function checkLayout(tensors: ReadonlyMap<string, TensorEntry>, start: number, fileBytes: number, file: string): void {
  let at = start
  for (const [tensor, { begin, end }] of [...tensors].toSorted(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at) {
      const problem = begin < at ? 'overlaps the tensor before it' : 'leaves a gap before it'
      throw invalid(file, `tensor "${tensor}" begins at byte ${begin} and ${problem}, which ends at ${at}`, { tensor })
    }
    at = end
  }
  if (at > fileBytes) throw truncated(file, at, fileBytes)
  if (at < fileBytes) throw invalid(file, `it goes on for ${fileBytes - at} bytes after its last tensor`)
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0)
}

function invalid(file: string, problem: string, facts: { tensor?: string } = {}, cause?: unknown): PlateauError {
  const message = `${file} is not a valid safetensors file: ${problem}`
  return new PlateauError('MODEL_FILE_INVALID', message, { facts: { file, ...facts }, cause })
}

function truncated(file: string, expectedBytes: number, foundBytes: number): PlateauError {
  return new PlateauError(
    'MODEL_FILE_TRUNCATED',
    `${file} is cut short: it should hold at least ${expectedBytes} bytes and holds ${foundBytes}; copy it again`,
    { facts: { file, expectedBytes, foundBytes } },
  )
}
