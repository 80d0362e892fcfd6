import { crc32 } from 'node:zlib'

interface ZipFile {
  readonly name: string
  readonly bytes: Uint8Array
  /** The bytes deflated; not set: stored as they are. */
  readonly packed?: Uint8Array
}

/** A zip archive as a wheel is one: local headers and data, the central directory, its end. */
export function zipOf(files: readonly ZipFile[]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const { name, bytes, packed } of files) {
    const data = packed ?? bytes
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(packed === undefined ? 0 : 8, 4)
    common.writeUInt32LE(crc32(bytes), 10)
    common.writeUInt32LE(data.length, 14)
    common.writeUInt32LE(bytes.length, 18)
    common.writeUInt16LE(Buffer.byteLength(name), 22)
    const local = [signature(0x04034b50), common, Buffer.from(name), Buffer.from(data)]
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(at, 10)
    directory.push(signature(0x02014b50), Buffer.from([20, 3]), common, tail, Buffer.from(name))
    parts.push(...local)
    at += Buffer.concat(local).length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(files.length, 4)
  end.writeUInt16LE(files.length, 6)
  end.writeUInt32LE(central.length, 8)
  end.writeUInt32LE(at, 12)
  return Buffer.concat([...parts, central, signature(0x06054b50), end])
}

function signature(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}
