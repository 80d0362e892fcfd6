import { PlateauError } from '@plateau/contracts'
import { randomUUID } from 'node:crypto'
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises'
import {
  headerLength,
  parseHeader,
  prefixBytes,
  type SafetensorsHeader,
  type TensorEntry,
} from './safetensors-header.js'
import { decodeSafetensors, encodeSafetensors, readableDtype, type Safetensors } from './safetensors.js'
import type { Tensor } from './tensor.js'

/** An open safetensors file: the header is read and checked at once, each tensor's bytes when asked for. */
export class TensorFile {
  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    private readonly header: SafetensorsHeader,
  ) {}

  /** The caller closes what it opened. */
  static async open(path: string): Promise<TensorFile> {
    const handle = await openForReading(path)
    try {
      const { size } = await handle.stat()
      const length = headerLength(await readRange(handle, path, 0, Math.min(prefixBytes, size)), size, path)
      const json = await readRange(handle, path, prefixBytes, prefixBytes + length)
      return new TensorFile(path, handle, parseHeader(json, size, path))
    } catch (thrown) {
      await handle.close()
      throw thrown
    }
  }

  get names(): readonly string[] {
    return [...this.header.tensors.keys()]
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.header.metadata
  }

  /** Throws TENSOR_MISSING. */
  entry(name: string): TensorEntry {
    const entry = this.header.tensors.get(name)
    if (entry === undefined) throw missingTensor(this.path, name)
    return entry
  }

  /** Throws TENSOR_MISSING, or TENSOR_SHAPE when the shape is not the expected one. Reads the tensor's bytes only. */
  async read(name: string, expectedShape?: readonly number[]): Promise<Tensor> {
    const entry = this.entry(name)
    if (expectedShape !== undefined) checkShape(this.path, name, expectedShape, entry.shape)
    const dtype = readableDtype(name, entry, this.path)
    return { dtype, shape: entry.shape, bytes: await readRange(this.handle, this.path, entry.begin, entry.end) }
  }

  async close(): Promise<void> {
    await this.handle.close()
  }
}

/** All tensors of a file, for files that are not a model directory's: optimiser state, say. */
export async function readTensors(path: string): Promise<Safetensors> {
  return decodeSafetensors(await readRequired(path), path)
}

/** Writes beside the file, flushes to the disk and renames: a reader sees the old file or the new one, whole. */
export async function writeTensors(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeWhole(path, encodeSafetensors(tensors, metadata))
}

export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const partial = `${path}.${randomUUID()}.partial`
  const handle = await open(partial, 'wx')
  try {
    await handle.writeFile(content)
    await handle.sync()
  } catch (thrown) {
    await handle.close()
    await rm(partial, { force: true })
    throw thrown
  }
  await handle.close()
  await rename(partial, path)
}

/** A file's bytes. Throws MODEL_FILE_MISSING. */
export async function readRequired(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw missingFile(path, cause)
  }
}

export function missingFile(file: string, cause: unknown): PlateauError {
  return new PlateauError('MODEL_FILE_MISSING', `cannot read the model file ${file}`, { facts: { file }, cause })
}

export function missingTensor(file: string, tensor: string): PlateauError {
  return new PlateauError('TENSOR_MISSING', `tensor "${tensor}" is missing from ${file}`, { facts: { file, tensor } })
}

/** A weight that the configuration has no place for (a bias, an adapter) would be left out of the arithmetic. */
export function unexpectedTensor(place: string, tensor: string): PlateauError {
  return new PlateauError(
    'TENSOR_UNEXPECTED',
    `${place} holds tensor "${tensor}", which a model of its configuration does not have`,
    { facts: { file: place, tensor } },
  )
}

export function checkShape(file: string, tensor: string, expected: readonly number[], found: readonly number[]): void {
  if (expected.length === found.length && expected.every((size, axis) => size === found[axis])) return
  const [expectedShape, foundShape] = [`[${expected.join(', ')}]`, `[${found.join(', ')}]`]
  throw new PlateauError(
    'TENSOR_SHAPE',
    `tensor "${tensor}" in ${file} has shape ${foundShape}; the configuration asks for ${expectedShape}`,
    { facts: { file, tensor, expectedShape, foundShape } },
  )
}

export async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    throw missingFile(path, cause)
  }
}

/** Bytes [begin, end) of an open file. */
export async function readRange(handle: FileHandle, path: string, begin: number, end: number): Promise<Uint8Array> {
  const out = new Uint8Array(end - begin)
  for (let at = 0; at < out.length;) {
    // One read call moves at most 2 GiB.
    const length = Math.min(out.length - at, 2 ** 30)
    const { bytesRead } = await handle.read(out, at, length, begin + at)
    if (bytesRead === 0) {
      throw new PlateauError('MODEL_FILE_TRUNCATED', `${path} became shorter while it was read`, {
        facts: { file: path, expectedBytes: end, foundBytes: begin + at },
      })
    }
    at += bytesRead
  }
  return out
}
