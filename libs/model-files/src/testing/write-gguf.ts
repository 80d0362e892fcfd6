/** A GGUF file as another tool might write it, right or wrong: nothing is checked here. */
export interface GgufParts {
  readonly version?: number
  /** Key, type number, value as bytes: see the makers below. */
  readonly metadata?: readonly (readonly [key: string, value: Buffer])[]
  readonly tensors?: readonly {
    readonly name: string
    /** As the file has it: the contiguous axis first. */
    readonly sizes: readonly number[]
    readonly type: number
    readonly data: Uint8Array
    /** Instead of the next aligned place. */
    readonly offset?: number
  }[]
}

const alignment = 32

export function writeGguf({ version = 3, metadata = [], tensors = [] }: GgufParts): Buffer {
  let at = 0
  const placed = tensors.map((tensor) => {
    const offset = tensor.offset ?? at
    at = Math.ceil((offset + tensor.data.length) / alignment) * alignment
    return { ...tensor, offset }
  })
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    u32(version),
    u64(tensors.length),
    u64(metadata.length),
    ...metadata.flatMap(([key, value]) => [string(key), value]),
    ...placed.flatMap(({ name, sizes, type, offset }) => [
      string(name),
      u32(sizes.length),
      ...sizes.map(u64),
      u32(type),
      u64(offset),
    ]),
  ])
  const start = Math.ceil(header.length / alignment) * alignment
  const file = Buffer.alloc(start + Math.max(0, ...placed.map(({ offset, data }) => offset + data.length)))
  header.copy(file)
  for (const { offset, data } of placed) file.set(data, start + offset)
  return file
}

export const textValue = (text: string): Buffer => Buffer.concat([u32(8), string(text)])
export const numberValue = (value: number): Buffer => Buffer.concat([u32(4), u32(value)])
export const floatValue = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return Buffer.concat([u32(6), bytes])
}
export const textsValue = (texts: readonly string[]): Buffer =>
  Buffer.concat([u32(9), u32(8), u64(texts.length), ...texts.map(string)])

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([u64(bytes.length), bytes])
}
