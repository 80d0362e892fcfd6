import { invalidGguf, truncatedGguf } from './errors.js'

/** Thrown where the bytes at hand end before the header does: parse again with at least `bytes` of the file. */
export class MoreBytesNeeded {
  constructor(readonly bytes: number) {}
}

/** Longer texts are no key, token or template. */
const maxTextBytes = 2 ** 24

/** Walks through the first bytes of a file, little-endian; never past them, and never trusting a length. */
export class GgufCursor {
  at = 0
  private readonly view: DataView

  constructor(
    private readonly bytes: Buffer,
    private readonly fileBytes: number,
    readonly file: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  u8 = (): number => this.view.getUint8(this.take(1, 'a number'))
  i8 = (): number => this.view.getInt8(this.take(1, 'a number'))
  u16 = (): number => this.view.getUint16(this.take(2, 'a number'), true)
  i16 = (): number => this.view.getInt16(this.take(2, 'a number'), true)
  u32 = (): number => this.view.getUint32(this.take(4, 'a number'), true)
  i32 = (): number => this.view.getInt32(this.take(4, 'a number'), true)
  f32 = (): number => this.view.getFloat32(this.take(4, 'a number'), true)
  f64 = (): number => this.view.getFloat64(this.take(8, 'a number'), true)
  u64 = (): number | bigint => narrow(this.view.getBigUint64(this.take(8, 'a number'), true))
  i64 = (): number | bigint => narrow(this.view.getBigInt64(this.take(8, 'a number'), true))

  flag = (): boolean => {
    const value = this.u8()
    if (value > 1) throw this.invalid(`a boolean has the value ${value}`, this.at - 1)
    return value === 1
  }

  /** A count or a size: u64, at most `most`. */
  count(what: string, most: number): number {
    const start = this.at
    const value = this.u64()
    if (value > most) throw this.invalid(`${what} is ${value}, more than ${most}`, start)
    return Number(value)
  }

  text = (): string => {
    const length = this.count('the length of a text', maxTextBytes)
    const start = this.take(length, `a text of ${length} bytes`)
    return this.bytes.toString('utf8', start, start + length)
  }

  /** That `bytes` more bytes are in the file, before anything is made for them. */
  expect(bytes: number, what: string): void {
    const end = this.at + bytes
    if (end > this.fileBytes) throw truncatedGguf(this.file, `${what} at byte ${this.at}`, end, this.fileBytes)
  }

  invalid(problem: string, offset: number): Error {
    return invalidGguf(this.file, `${problem} (byte ${offset})`, { offset })
  }

  private take(bytes: number, what: string): number {
    this.expect(bytes, what)
    const start = this.at
    if (start + bytes > this.bytes.length) throw new MoreBytesNeeded(start + bytes)
    this.at += bytes
    return start
  }
}

/** 64-bit numbers are counts nearly always; those that a double cannot hold stay what they are. */
function narrow(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
