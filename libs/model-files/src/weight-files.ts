import { PlateauError } from '@plateau/contracts'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isJsonObject, parseJsonObject } from './json-object.js'
import type { TensorEntry } from './safetensors-header.js'
import { missingTensor, TensorFile } from './tensor-file.js'
import type { Tensor } from './tensor.js'

/** The weights of a model directory: model.safetensors, or the shards that model.safetensors.index.json lists. */
export class WeightFiles {
  private constructor(
    /** Names what was looked through, in errors. */
    readonly place: string,
    private readonly fileOfTensor: ReadonlyMap<string, TensorFile>,
    private readonly files: readonly TensorFile[],
  ) {}

  /** The caller closes what it opened. */
  static async open(directory: string): Promise<WeightFiles> {
    const index = await readIndex(directory)
    const files: TensorFile[] = []
    try {
      for (const name of weightNames(index)) files.push(await TensorFile.open(join(directory, name)))
      const place = index === undefined ? join(directory, singleFile) : join(directory, indexFile)
      return new WeightFiles(place, tensorsByFile(files, index, place), files)
    } catch (thrown) {
      await Promise.all(files.map((file) => file.close()))
      throw thrown
    }
  }

  get names(): readonly string[] {
    return [...this.fileOfTensor.keys()]
  }

  /** Throws TENSOR_MISSING. */
  entry(name: string): TensorEntry {
    return this.fileOf(name).entry(name)
  }

  async read(name: string, expectedShape: readonly number[]): Promise<Tensor> {
    return this.fileOf(name).read(name, expectedShape)
  }

  async close(): Promise<void> {
    await Promise.all(this.files.map((file) => file.close()))
  }

  private fileOf(name: string): TensorFile {
    const file = this.fileOfTensor.get(name)
    if (file === undefined) throw missingTensor(this.place, name)
    return file
  }
}

/** File names of the weights, sorted. */
export async function listWeightFiles(directory: string): Promise<readonly string[]> {
  return weightNames(await readIndex(directory))
}

const singleFile = 'model.safetensors'
const indexFile = 'model.safetensors.index.json'

/** Shard by tensor name. */
type ShardIndex = ReadonlyMap<string, string>

function weightNames(index: ShardIndex | undefined): readonly string[] {
  return index === undefined ? [singleFile] : [...new Set(index.values())].toSorted()
}

function tensorsByFile(
  files: readonly TensorFile[],
  index: ShardIndex | undefined,
  place: string,
): ReadonlyMap<string, TensorFile> {
  if (index === undefined) return new Map(files.flatMap((file) => file.names.map((name) => [name, file] as const)))
  const byName = new Map(files.map((file) => [basename(file.path), file]))
  return new Map(
    [...index].map(([tensor, shard]) => {
      const file = byName.get(shard)
      if (file === undefined || !file.names.includes(tensor))
        throw missingTensor(`${shard}, where ${place} puts it`, tensor)
      return [tensor, file] as const
    }),
  )
}

async function readIndex(directory: string): Promise<ShardIndex | undefined> {
  const path = join(directory, indexFile)
  let json: string
  try {
    json = await readFile(path, 'utf8')
  } catch {
    // No index: a single file, whose absence its own opening reports.
    return undefined
  }
  return parseIndex(json, path)
}

function parseIndex(json: string, file: string): ShardIndex {
  const fail = (problem: string): PlateauError =>
    new PlateauError('MODEL_FILE_INVALID', `${file} is not a shard index: ${problem}`, { facts: { file } })
  const { weight_map: map } = parseJsonObject(json, file, 'MODEL_FILE_INVALID')
  if (!isJsonObject(map)) throw fail('it has no weight_map')
  return new Map(
    Object.entries(map).map(([tensor, shard]) => {
      // A shard lies beside its index: a path could name any file of the machine.
      if (typeof shard === 'string' && basename(shard) === shard && shard.endsWith('.safetensors'))
        return [tensor, shard]
      throw fail(`"${tensor}" is put into ${JSON.stringify(shard)}, which is no file name beside it`)
    }),
  )
}
