/** Reads Kafka's big-endian wire format. Reading beyond the end throws RangeError. */
export class ByteReader {
  readonly bytes: Buffer
  at: number

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  get left(): number {
    return this.bytes.length - this.at
  }

  int8(): number {
    const value = this.bytes.readInt8(this.at)
    this.at += 1
    return value
  }

  int16(): number {
    const value = this.bytes.readInt16BE(this.at)
    this.at += 2
    return value
  }

  int32(): number {
    const value = this.bytes.readInt32BE(this.at)
    this.at += 4
    return value
  }

  /** Exact up to 2^53, as offsets and timestamps are. */
  int64(): number {
    const value = this.bytes.readInt32BE(this.at) * 0x1_0000_0000 + this.bytes.readUInt32BE(this.at + 4)
    this.at += 8
    return value
  }

  /** Producer ids are only compared, but use all 64 bits. */
  bigint64(): bigint {
    const value = this.bytes.readBigInt64BE(this.at)
    this.at += 8
    return value
  }

  string(): string {
    const length = this.int16()
    return length < 0 ? '' : this.take(length).toString('utf8')
  }

  array<T>(read: () => T): T[] {
    const items: T[] = []
    for (let left = this.int32(); left > 0; left--) items.push(read())
    return items
  }

  /** A view, not a copy. */
  take(length: number): Buffer {
    const end = this.at + length
    if (length < 0 || end > this.bytes.length) throw new RangeError(`${length} bytes wanted, ${this.left} left`)
    const view = this.bytes.subarray(this.at, end)
    this.at = end
    return view
  }

  /** Zig-zag, any length up to 64 bits; exact up to 2^53. */
  varint(): number {
    let raw = 0
    let scale = 1
    for (let read = 0; read < 10; read++) {
      const byte = this.bytes[this.at++]
      if (byte === undefined) throw new RangeError('the bytes end within a number')
      raw += (byte & 0x7f) * scale
      if (byte < 0x80) return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
      scale *= 128
    }
    throw new RangeError('a number of more than 64 bits')
  }

  /** Null where the length says so. */
  varBytes(): Buffer | null {
    const length = this.varint()
    return length < 0 ? null : this.take(length)
  }

  /** Empty where the length says null. */
  varString(): string {
    const length = this.varint()
    if (length <= 0) return ''
    const end = this.at + length
    if (end > this.bytes.length) throw new RangeError(`${length} bytes wanted, ${this.left} left`)
    const text = this.bytes.toString('utf8', this.at, end)
    this.at = end
    return text
  }
}
