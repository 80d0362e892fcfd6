import {
  type CausalLmConfig,
  type Parameter,
  parameterShapes,
  type QuantizedMatrix,
  type WeightSource,
} from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import { checkFinite } from '../finite.js'
import { checkShape, missingTensor, unexpectedTensor } from '../tensor-file.js'
import { type FloatDtype, toFloats } from '../tensor.js'
import { isBlockFormat, multiplyOut, unpackBlocks } from './blocks.js'
import type { GgufFile } from './gguf-file.js'
import type { GgufTensor } from './header.js'
import { ggufName } from './names.js'

const floatTypes: readonly string[] = ['F32', 'F16', 'BF16'] satisfies FloatDtype[]

/** Not weights: tables that the configuration speaks of, or that llama.cpp computes itself. */
const tables = ['rope_freqs.weight']

/** The weights of an open file, under Hugging Face's names and in its layout. Checks names, shapes and types at once. */
export function ggufWeights(file: GgufFile, config: CausalLmConfig): WeightSource {
  const shapes = parameterShapes(config)
  const stored = new Map<string, GgufTensor>()
  for (const [name, shape] of shapes) stored.set(name, checked(file, ggufName(name), shape))
  const known = new Set([...[...shapes.keys()].map(ggufName), ...tables])
  const unknown = [...file.header.tensors.keys()].find((name) => !known.has(name))
  if (unknown !== undefined) throw unexpectedTensor(file.path, unknown)

  const tensorOf = (name: string): GgufTensor => {
    const tensor = stored.get(name)
    if (tensor === undefined) throw missingTensor(`the model in ${file.path}`, name)
    return tensor
  }
  const rowOrder = rowOrderOf(file, config)
  return {
    names: [...shapes.keys()],
    async read(name): Promise<Parameter> {
      const tensor = tensorOf(name)
      const data = valuesOf(tensor, await file.bytes(tensor))
      checkFinite(data, ggufName(name), file.path)
      return { shape: tensor.shape, data: reorder(data, rowOrder(name), columnsOf(tensor)) }
    },
    async readBlocks(name): Promise<QuantizedMatrix | undefined> {
      const tensor = tensorOf(name)
      if (!isBlockFormat(tensor.type.name)) return undefined
      const matrix = blocksOf(tensor, await file.bytes(tensor))
      checkFinite(matrix.scales, ggufName(name), file.path)
      if (matrix.offsets !== undefined) checkFinite(matrix.offsets, ggufName(name), file.path)
      return reorderBlocks(matrix, rowOrder(name))
    },
  }
}

function checked(file: GgufFile, name: string, shape: readonly number[]): GgufTensor {
  const tensor = file.tensor(name)
  checkShape(file.path, name, shape, tensor.shape)
  const type = tensor.type.name
  if (floatTypes.includes(type) || (shape.length === 2 && isBlockFormat(type))) return tensor
  throw new PlateauError('TENSOR_DTYPE', `tensor "${name}" in ${file.path} has type ${type}, which is not supported`, {
    facts: { file: file.path, tensor: name, dtype: type },
  })
}

function valuesOf(tensor: GgufTensor, bytes: Uint8Array): Float32Array {
  const { type, shape } = tensor
  if (isBlockFormat(type.name)) return multiplyOut(blocksOf(tensor, bytes))
  return toFloats({ dtype: type.name as FloatDtype, shape, bytes })
}

function blocksOf(tensor: GgufTensor, bytes: Uint8Array): QuantizedMatrix {
  return unpackBlocks(tensor.type.name, bytes, rowsOf(tensor), columnsOf(tensor))
}

const rowsOf = ({ shape }: GgufTensor): number => (shape.length === 1 ? 1 : shape[0]!)
const columnsOf = ({ shape }: GgufTensor): number => shape.at(-1)!

/**
 * For output row r, the row in the file. llama.cpp's converter brings the query and key rows of architecture "llama" from
 * Hugging Face's order (a head's first halves of all pairs, then its second halves) into that of adjacent pairs, biases
 * too; the others keep theirs.
 */
function rowOrderOf(
  file: GgufFile,
  { headDim }: CausalLmConfig,
): (name: string) => ((row: number) => number) | undefined {
  const permutes = file.header.metadata.get('general.architecture') === 'llama'
  return (name) => {
    if (!permutes || !/\.[qk]_proj\.(weight|bias)$/.test(name)) return undefined
    return (row) => {
      const within = row % headDim
      const [second, pair] = within < headDim / 2 ? [0, within] : [1, within - headDim / 2]
      return row - within + 2 * pair + second
    }
  }
}

type RowOrder = ((row: number) => number) | undefined

/** A bias is a column of rows of one value. */
function reorder<T extends Float32Array | Uint8Array>(data: T, order: RowOrder, columns: number): T {
  if (order === undefined) return data
  const width = columns === data.length ? 1 : columns
  const out = data.slice() as T
  for (let row = 0; row < data.length / width; row++) {
    out.set(data.subarray(order(row) * width, (order(row) + 1) * width), row * width)
  }
  return out
}

function reorderBlocks(matrix: QuantizedMatrix, order: RowOrder): QuantizedMatrix {
  const perRow = matrix.columns / matrix.blockSize
  return {
    ...matrix,
    codes: reorder(matrix.codes, order, matrix.columns),
    scales: reorder(matrix.scales, order, perRow),
    offsets: matrix.offsets === undefined ? undefined : reorder(matrix.offsets, order, perRow),
  }
}
