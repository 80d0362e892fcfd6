/**
 * The engine rearranges the matrices it multiplies by ("prepacking") when a model is loaded, into memory of its own:
 * each process would hold all weights once more. It can save what it made; a later load finds the saved layout in the
 * weights file, maps it, and shares its pages with every other process.
 *
 * Two habits of onnxruntime 1.30 matter here. It computes the layout at every load all the same, and takes the saved one
 * only if both hash to the same number: a layout of another processor or version does no harm. And layouts contain
 * pointers' alignment, modulo 64, while the engine saves them wherever the file happens to end: mapped from there, they
 * are read shifted by some bytes (NaN logits). So they are moved to the beginning of pages.
 */
import { addExternalEntries, readExternalData, type ExternalEntries } from '@plateau/tensor-graph'
import { open, readFile, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { exportPackedModel } from './session.js'
import type { TensorFileWriter } from './tensor-file-writer.js'

const exported = { model: 'exported.onnx', data: 'exported.bin' }
const packedKey = /^prepacked_\d+$/

/** Appends the layouts of the model's matrices to its weights: what to add for the tensor at each offset. */
export async function appendPackedWeights(
  directory: string,
  modelFile: string,
  weights: TensorFileWriter,
): Promise<Map<string, ExternalEntries>> {
  const path = (name: string) => join(directory, name)
  const original = readExternalData(await readFile(path(modelFile)))
  await exportPackedModel(path(modelFile), path(exported.model), exported.data)
  const data = await open(path(exported.data))
  try {
    const additions = new Map<string, ExternalEntries>()
    for (const [name, entries] of readExternalData(await readFile(path(exported.model)))) {
      const offset = original.get(name)?.['offset']
      if (offset !== undefined) additions.set(offset, await moved(entries, data, weights))
    }
    return additions
  } finally {
    await data.close()
    await Promise.all(Object.values(exported).map((name) => rm(path(name))))
  }
}

/** The model with entries that say where the layouts lie. */
export function withPackedWeights(model: Uint8Array, additions: ReadonlyMap<string, ExternalEntries>): Uint8Array {
  return addExternalEntries(model, ({ offset }) => additions.get(offset!) ?? {})
}

/** A value reads "key|offset;length;checksum|offset;length;checksum ..." of one or several buffers. */
async function moved(entries: ExternalEntries, data: FileHandle, weights: TensorFileWriter): Promise<ExternalEntries> {
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(entries)) {
    if (!packedKey.test(name)) continue
    const [key, ...buffers] = value.trim().split('|')
    const places: string[] = []
    for (const buffer of buffers) {
      const [offset, length, ...rest] = buffer.split(';')
      const start = await weights.appendPages(await readRange(data, Number(offset), Number(length)))
      places.push([start, length, ...rest].join(';'))
    }
    result[name] = [key, ...places].join('|')
  }
  return result
}

async function readRange(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, Math.min(length - done, 2 ** 30), offset + done)
    if (bytesRead === 0) throw new RangeError(`the engine's export ends before ${offset + length}`)
    done += bytesRead
  }
  return bytes
}
