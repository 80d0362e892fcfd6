/** Multiplying by, and reading rows of, a matrix in any of its formats, with ONNX Runtime's own operators. */
import type { GraphBuilder } from '@plateau/tensor-graph'
import type { BlockMatrix, FloatMatrix, PreparedMatrix } from './prepared-weights.js'

const domain = 'com.microsoft'

/** ONNX Runtime quantises x to 8 bits, block by block, and multiplies integers. (Level 1 keeps x exact, 15 times slower.) */
const integerProducts = 4

/** (x [T, columns] or [1, T, columns], matrix) -> [.., rows]. Sums over x's blocks are shared by matrices that need them. */
export function multiplyBy(graph: GraphBuilder): (x: string, matrix: PreparedMatrix) => string {
  const blockSums = new Map<string, string>()
  const sums = (x: string, matrix: BlockMatrix) => {
    const key = `${x} ${matrix.blockSize}`
    const known = blockSums.get(key)
    if (known !== undefined) return known
    const made = sumOfBlocks(graph, x, matrix)
    blockSums.set(key, made)
    return made
  }
  return (x, matrix) => {
    if (matrix.kind === 'floats') return multiplyFloats(graph, x, matrix)
    const y = multiplyBlocks(graph, x, matrix)
    if (matrix.shifts === undefined) return y
    // x . (w + shift), block by block: the shift meets the sum of the block's x, in floats and so without loss.
    const shifts = graph.constant(matrix.shifts, [matrix.rows, blocksPerRow(matrix)], { type: 'f32' })
    return graph.op('Add', [y, graph.op('FusedMatMul', [sums(x, matrix), shifts], transposedRight)])
  }
}

const transposedRight = { domain, attributes: { transB: 1 } }

function multiplyFloats(graph: GraphBuilder, x: string, { rows, columns, values }: FloatMatrix): string {
  return graph.op('FusedMatMul', [x, graph.constant(values, [rows, columns], { type: 'f32' })], transposedRight)
}

function multiplyBlocks(graph: GraphBuilder, x: string, matrix: BlockMatrix): string {
  const { rows, columns, bits, blockSize } = matrix
  const blocks = blocksPerRow(matrix)
  const codes = graph.constant(matrix.codes, [rows, blocks, (blockSize * bits) / 8], { type: 'u8' })
  const scales = graph.constant(matrix.scales, [rows, blocks], { type: 'f32' })
  return graph.op('MatMulNBits', [x, codes, scales], {
    domain,
    attributes: { K: columns, N: rows, bits, block_size: blockSize, accuracy_level: integerProducts },
  })
}

/** x of T rows, [.., columns] -> [T, n]. */
function sumOfBlocks(graph: GraphBuilder, x: string, matrix: BlockMatrix): string {
  const blocks = graph.op('Reshape', [x, graph.ints(-1, blocksPerRow(matrix), matrix.blockSize)])
  return graph.op('ReduceSum', [blocks, graph.ints(-1)], { attributes: { keepdims: 0 } })
}

/** Rows of the matrix as floats: ids i32 or i64 [..] -> [.., columns]. */
export function gatherRows(graph: GraphBuilder, matrix: PreparedMatrix, ids: string): string {
  const { rows, columns } = matrix
  if (matrix.kind === 'floats') {
    return graph.op('Gather', [graph.constant(matrix.values, [rows, columns], { type: 'f32' }), ids])
  }
  const shifted = shiftedRows(graph, matrix, gatherBlocks(graph, matrix, ids), ids)
  if (columns === blocksPerRow(matrix) * matrix.blockSize) return shifted
  return graph.op('Slice', [shifted, graph.ints(0), graph.ints(columns), graph.ints(-1)])
}

/** [.., n * blockSize]: scales * (code - z). */
function gatherBlocks(graph: GraphBuilder, matrix: BlockMatrix, ids: string): string {
  const { rows, bits, blockSize } = matrix
  const blocks = blocksPerRow(matrix)
  const codes = graph.constant(matrix.codes, [rows, (blocks * blockSize * bits) / 8], { type: 'u8' })
  const scales = graph.constant(matrix.scales, [rows, blocks], { type: 'f32' })
  return graph.op('GatherBlockQuantized', [codes, ids, scales], {
    domain,
    attributes: { bits, block_size: blockSize, gather_axis: 0, quantize_axis: 1 },
  })
}

function shiftedRows(graph: GraphBuilder, matrix: BlockMatrix, gathered: string, ids: string): string {
  if (matrix.shifts === undefined) return gathered
  const blocks = blocksPerRow(matrix)
  const shifts = graph.op('Gather', [graph.constant(matrix.shifts, [matrix.rows, blocks], { type: 'f32' }), ids])
  const shifted = graph.op('Add', [
    graph.op('Reshape', [gathered, graph.ints(-1, blocks, matrix.blockSize)]),
    graph.op('Reshape', [shifts, graph.ints(-1, blocks, 1)]),
  ])
  return graph.op('Reshape', [shifted, graph.op('Shape', [gathered])])
}

function blocksPerRow({ columns, blockSize }: BlockMatrix): number {
  return Math.ceil(columns / blockSize)
}
