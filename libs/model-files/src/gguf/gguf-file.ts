import type { FileHandle } from 'node:fs/promises'
import { missingTensor, openForReading, readRange } from '../tensor-file.js'
import { type GgufHeader, type GgufTensor, readGgufHeader } from './header.js'

/** An open GGUF file: the header is read and checked at once, each tensor's bytes when asked for. */
export class GgufFile {
  private constructor(
    readonly path: string,
    readonly header: GgufHeader,
    private readonly handle: FileHandle,
  ) {}

  /** The caller closes what it opened. */
  static async open(path: string): Promise<GgufFile> {
    const handle = await openForReading(path)
    try {
      return new GgufFile(path, await readGgufHeader(handle, (await handle.stat()).size, path), handle)
    } catch (thrown) {
      await handle.close()
      throw thrown
    }
  }

  /** Throws TENSOR_MISSING. */
  tensor(name: string): GgufTensor {
    const tensor = this.header.tensors.get(name)
    if (tensor === undefined) throw missingTensor(this.path, name)
    return tensor
  }

  async bytes({ begin, end }: GgufTensor): Promise<Uint8Array> {
    return readRange(this.handle, this.path, begin, end)
  }

  async close(): Promise<void> {
    await this.handle.close()
  }
}
