import type { TensorData } from '@plateau/tensor-graph'
import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'

/** Memory is mapped by pages. Where they are larger than this, the engine rounds down by itself. */
const pageBytes = 4096

/** Appends tensors to a file from which a model's external data is mapped. */
export class TensorFileWriter {
  readonly #file: FileHandle
  readonly #location: string
  #length = 0

  static async create(path: string): Promise<TensorFileWriter> {
    return new TensorFileWriter(await open(path, 'wx'), basename(path))
  }

  private constructor(file: FileHandle, location: string) {
    this.#file = file
    this.#location = location
  }

  /** One tensor, given as consecutive pieces. What is smaller than a page is better kept in the model itself. */
  async append(pieces: readonly ArrayBufferView[]): Promise<TensorData> {
    const length = pieces.reduce((sum, piece) => sum + piece.byteLength, 0)
    if (length < pageBytes && pieces.length === 1) return pieces[0]!
    return { location: this.#location, offset: await this.appendPages(...pieces), length }
  }

  /** Beginning at a page of its own: the result is where. */
  async appendPages(...pieces: readonly ArrayBufferView[]): Promise<number> {
    const offset = Math.ceil(this.#length / pageBytes) * pageBytes
    let at = offset
    for (const piece of pieces) at += await this.#write(piece, at)
    this.#length = at
    return offset
  }

  async #write(piece: ArrayBufferView, position: number): Promise<number> {
    for (let done = 0; done < piece.byteLength;) {
      const view = new Uint8Array(piece.buffer, piece.byteOffset + done, piece.byteLength - done)
      // A single write ends at 2 GiB.
      const { bytesWritten } = await this.#file.write(view, 0, Math.min(view.length, 2 ** 30), position + done)
      done += bytesWritten
    }
    return piece.byteLength
  }

  /** The file is on the disk when this resolves. */
  async close(): Promise<void> {
    try {
      await this.#file.sync()
    } finally {
      await this.#file.close()
    }
  }
}
