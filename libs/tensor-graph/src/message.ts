/** One protobuf message as a list of chunks, so that nesting does not copy. */
export class Message {
  byteLength = 0
  readonly #chunks: Uint8Array[] = []
  #small: number[] = []

  int(field: number, value: number): this {
    this.#varint((field << 3) | 0)
    return this.#varint(value)
  }

  float(field: number, value: number): this {
    this.#varint((field << 3) | 5)
    this.#small.push(...new Uint8Array(Float32Array.of(value).buffer))
    this.byteLength += 4
    return this
  }

  string(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value, 'utf8'))
  }

  bytes(field: number, value: Uint8Array): this {
    this.#lengthPrefix(field, value.byteLength)
    this.#chunks.push(value)
    this.byteLength += value.byteLength
    return this
  }

  /** Fields as another message has them, tags and all. */
  encoded(fields: Uint8Array): this {
    this.#flush()
    this.#chunks.push(fields)
    this.byteLength += fields.byteLength
    return this
  }

  message(field: number, value: Message): this {
    this.#lengthPrefix(field, value.byteLength)
    value.#flush()
    for (const chunk of value.#chunks) this.#chunks.push(chunk)
    this.byteLength += value.byteLength
    return this
  }

  toBytes(): Uint8Array {
    this.#flush()
    const bytes = new Uint8Array(this.byteLength)
    let offset = 0
    for (const chunk of this.#chunks) {
      bytes.set(chunk, offset)
      offset += chunk.byteLength
    }
    return bytes
  }

  #lengthPrefix(field: number, byteLength: number): void {
    this.#varint((field << 3) | 2)
    this.#varint(byteLength)
    this.#flush()
  }

  /** Negative numbers take ten bytes, as int64 in two's complement does. */
  #varint(value: number): this {
    let rest = BigInt.asUintN(64, BigInt(value))
    do {
      const low = Number(rest & 0x7fn)
      rest >>= 7n
      this.#small.push(rest === 0n ? low : low | 0x80)
      this.byteLength++
    } while (rest !== 0n)
    return this
  }

  #flush(): void {
    if (this.#small.length === 0) return
    this.#chunks.push(Uint8Array.from(this.#small))
    this.#small = []
  }
}
