/** Reads a model's weights, one matrix at a time, and brings them into the format in which a graph multiplies them. */
import type { TensorData } from '@plateau/tensor-graph'
import { parameterShapes, type CausalLmConfig } from './config.js'
import { embeddingLayer } from './graph-weights.js'
import { matrixKey, type FloatMatrix, type PreparedMatrix, type PreparedWeights } from './prepared-weights.js'
import { blocksAsStored, quantizeTo8Bits, type BlockValues } from './quantize-blocks.js'
import type { WeightRequests } from './weight-requests.js'
import type { WeightSource } from './weight-source.js'
import { weight } from './weights.js'

/**
 * f32: exact. int8: 8-bit codes in blocks; stored 8-bit blocks are taken as they are, all else is rounded. int4: matrices
 * that are stored in 4 bits are multiplied by those very numbers, the others as in int8.
 */
export type WeightFormat = 'f32' | 'int8' | 'int4'

/** Keeps a tensor, given as consecutive pieces, and says where: in memory or in a file. The pieces may be reused after. */
export type KeepTensor = (pieces: readonly ArrayBufferView[]) => Promise<TensorData>

export async function prepareWeights(
  config: CausalLmConfig,
  requests: WeightRequests,
  source: WeightSource,
  format: WeightFormat,
  keep: KeepTensor,
): Promise<PreparedWeights> {
  const shapes = parameterShapes(config)
  const read = async (name: string) => {
    const shape = shapes.get(name)
    if (shape === undefined) throw new RangeError(`a model of this configuration has no parameter "${name}"`)
    return weight(new Map([[name, await source.read(name)]]), name, shape)
  }
  const vectors = new Map<string, Float32Array>()
  const biases = requests.linears.flat().map((layer) => `${layer}.bias`)
  for (const name of [...requests.vectors, ...biases.filter((bias) => shapes.has(bias))]) {
    vectors.set(name, await read(name))
  }
  const matrices = new Map<string, readonly PreparedMatrix[]>()
  for (const layers of requests.embeds ? [[embeddingLayer], ...requests.linears] : requests.linears) {
    const key = matrixKey(layers)
    if (matrices.has(key)) continue
    const parts: MatrixValues[] = []
    for (const layer of layers) {
      const name = `${layer}.weight`
      parts.push(await matrixValues(source, name, shapes.get(name)?.[1] ?? 0, format, () => read(name)))
    }
    matrices.set(key, await keepStacked(parts, keep))
  }
  return { vectors, matrices }
}

type MatrixValues = BlockValues | (FloatMatrix & { readonly values: Float32Array })

async function matrixValues(
  source: WeightSource,
  name: string,
  columns: number,
  format: WeightFormat,
  readFloats: () => Promise<Float32Array>,
): Promise<MatrixValues> {
  const stored = format === 'f32' ? undefined : await source.readBlocks(name)
  if (stored?.bits === 4 && format === 'int4') return blocksAsStored(stored)
  // Smaller blocks are exact as well, but their scales would be as much to read as a quarter of the codes.
  if (stored?.bits === 8 && stored.offsets === undefined && stored.blockSize >= 32) return blocksAsStored(stored)
  const values = await readFloats()
  return format === 'f32'
    ? { kind: 'floats', rows: values.length / columns, columns, values }
    : quantizeTo8Bits(values, columns)
}

/** Neighbours of one format become one matrix. */
async function keepStacked(parts: readonly MatrixValues[], keep: KeepTensor): Promise<PreparedMatrix[]> {
  const runs: MatrixValues[][] = []
  for (const part of parts) {
    const run = runs.at(-1)
    if (run !== undefined && formatKey(run[0]!) === formatKey(part)) run.push(part)
    else runs.push([part])
  }
  const kept: PreparedMatrix[] = []
  for (const run of runs) kept.push(await keepRun(run, keep))
  return kept
}

function formatKey(matrix: MatrixValues): string {
  if (matrix.kind === 'floats') return 'floats'
  return `${matrix.bits} ${matrix.blockSize} ${matrix.shifts === undefined}`
}

async function keepRun(run: readonly MatrixValues[], keep: KeepTensor): Promise<PreparedMatrix> {
  const rows = run.reduce((sum, part) => sum + part.rows, 0)
  const floats = run.filter((part) => part.kind === 'floats')
  if (floats.length > 0) return { ...floats[0]!, rows, values: await keep(floats.map((part) => part.values)) }
  const blocks = run.filter((part) => part.kind === 'blocks')
  const shifts = blocks.flatMap((part) => part.shifts ?? [])
  return {
    ...blocks[0]!,
    rows,
    codes: await keep(blocks.map((part) => part.codes)),
    scales: await keep(blocks.map((part) => part.scales)),
    shifts: shifts.length === 0 ? undefined : await keep(shifts),
  }
}
