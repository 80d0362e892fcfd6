/** ONNX operators on tensors whose shapes are known while the graph is built. No gradients here: see autodiff.ts. */
import type { AttributeValue, DataType } from './onnx.js'
import type { GraphBuilder } from './graph-builder.js'

/** A value of the graph with its shape. */
export interface Tensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly type: DataType
}

export type Attributes = Readonly<Record<string, AttributeValue>>

const microsoft = 'com.microsoft'

export class StaticOps {
  readonly graph: GraphBuilder
  /** Multiplications and additions of all matrix products emitted so far, for throughput figures. */
  matmulFlops = 0

  constructor(graph: GraphBuilder) {
    this.graph = graph
  }

  input(name: string, shape: readonly number[], type: DataType = 'f32'): Tensor {
    return { name: this.graph.input(name, type, shape), shape, type }
  }

  output(name: string, value: Tensor): void {
    this.graph.output(name, value.name, value.type, value.shape)
  }

  constant(data: Float32Array, shape: readonly number[]): Tensor {
    return { name: this.graph.constant(data, shape), shape, type: 'f32' }
  }

  scalar(value: number): Tensor {
    return { name: this.graph.scalar(value), shape: [], type: 'f32' }
  }

  node(
    op: string,
    inputs: readonly Tensor[],
    shape: readonly number[],
    attributes: Attributes = {},
    domain = '',
  ): Tensor {
    const names = inputs.map((tensor) => tensor.name)
    return { name: this.graph.op(op, names, { attributes, domain }), shape, type: inputs[0]?.type ?? 'f32' }
  }

  nodes(
    op: string,
    inputs: readonly Tensor[],
    shapes: readonly (readonly number[])[],
    attributes: Attributes,
  ): Tensor[] {
    const names = inputs.map((tensor) => tensor.name)
    const outputs = this.graph.ops(op, names, shapes.length, { attributes })
    return outputs.map((name, i) => ({ name, shape: shapes[i] ?? [], type: inputs[0]?.type ?? 'f32' }))
  }

  add(a: Tensor, b: Tensor): Tensor {
    return this.node('Add', [a, b], broadcastShape(a.shape, b.shape))
  }

  sub(a: Tensor, b: Tensor): Tensor {
    return this.node('Sub', [a, b], broadcastShape(a.shape, b.shape))
  }

  mul(a: Tensor, b: Tensor): Tensor {
    return this.node('Mul', [a, b], broadcastShape(a.shape, b.shape))
  }

  div(a: Tensor, b: Tensor): Tensor {
    return this.node('Div', [a, b], broadcastShape(a.shape, b.shape))
  }

  max(a: Tensor, b: Tensor): Tensor {
    return this.node('Max', [a, b], broadcastShape(a.shape, b.shape))
  }

  neg(a: Tensor): Tensor {
    return this.node('Neg', [a], a.shape)
  }

  /** One of ONNX's elementwise functions of one argument, for example "Exp" or "Abs". */
  map(op: string, a: Tensor): Tensor {
    return this.node(op, [a], a.shape)
  }

  /** Reduced axes stay, with size 1. `op` is "ReduceSum", "ReduceMean" or "ReduceMax". */
  reduce(op: string, a: Tensor, axes: readonly number[]): Tensor {
    const shape = a.shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
    return this.node(op, [a, this.#ints(axes)], shape, { keepdims: 1 })
  }

  reshape(a: Tensor, shape: readonly number[]): Tensor {
    if (sameShape(a.shape, shape)) return a
    if (elementCount(a.shape) !== elementCount(shape)) {
      throw new RangeError(`cannot reshape [${a.shape.join()}] to [${shape.join()}]`)
    }
    return this.node('Reshape', [a, this.#ints(shape)], shape)
  }

  transpose(a: Tensor, order: readonly number[]): Tensor {
    return this.node(
      'Transpose',
      [a],
      order.map((axis) => size(a, axis)),
      { perm: order },
    )
  }

  split(a: Tensor, sizes: readonly number[], axis: number): Tensor[] {
    const shapes = sizes.map((part) => a.shape.with(axis, part))
    return this.nodes('Split', [a, this.#ints(sizes)], shapes, { axis })
  }

  concat(parts: readonly Tensor[], axis: number): Tensor {
    const first = parts[0]
    if (first === undefined) throw new RangeError('cannot concatenate nothing')
    const total = parts.reduce((sum, part) => sum + size(part, axis), 0)
    return this.node('Concat', parts, first.shape.with(axis, total), { axis })
  }

  zeros(shape: readonly number[]): Tensor {
    return { ...this.node('ConstantOfShape', [this.#ints(shape)], shape), type: 'f32' }
  }

  /** Product of matrices, either read transposed. */
  gemm(a: Tensor, b: Tensor, { transA = false, transB = false } = {}): Tensor {
    const [rows, inner] = transA ? [size(a, 1), size(a, 0)] : [size(a, 0), size(a, 1)]
    const [innerB, columns] = transB ? [size(b, 1), size(b, 0)] : [size(b, 0), size(b, 1)]
    if (inner !== innerB) throw shapesDoNotFit('multiply', a, b)
    this.matmulFlops += 2 * rows * inner * columns
    return this.node('Gemm', [a, b], [rows, columns], { transA: Number(transA), transB: Number(transB) })
  }

  /** Product of the last two axes over equal leading axes, times `scale`. */
  batchedMatmul(a: Tensor, b: Tensor, { transA = false, transB = false, scale = 1 } = {}): Tensor {
    const rank = a.shape.length
    const [rows, inner] = transA ? [size(a, rank - 1), size(a, rank - 2)] : [size(a, rank - 2), size(a, rank - 1)]
    const [innerB, columns] = transB ? [size(b, rank - 1), size(b, rank - 2)] : [size(b, rank - 2), size(b, rank - 1)]
    const leading = a.shape.slice(0, -2)
    if (inner !== innerB || !sameShape(leading, b.shape.slice(0, -2))) throw shapesDoNotFit('multiply', a, b)
    this.matmulFlops += 2 * elementCount(leading) * rows * inner * columns
    const attributes = { transA: Number(transA), transB: Number(transB), alpha: { float: scale } }
    return this.node('FusedMatMul', [a, b], [...leading, rows, columns], attributes, microsoft)
  }

  softmax(a: Tensor): Tensor {
    return this.node('Softmax', [a], a.shape, { axis: -1 })
  }

  /** Root-mean-square norm over the last axis, and the reciprocal root that its gradient needs. */
  rmsNorm(x: Tensor, weight: Tensor, epsilon: number): { y: Tensor; reciprocalRms: Tensor } {
    const attributes = { axis: -1, epsilon: { float: epsilon }, stash_type: 1 }
    const shapes = [x.shape, x.shape.with(-1, 1)]
    const [y, reciprocalRms] = this.nodes('SimplifiedLayerNormalization', [x, weight], shapes, attributes)
    if (y === undefined || reciprocalRms === undefined) throw new Error('unreachable: two shapes make two tensors')
    return { y, reciprocalRms }
  }

  /** Rotates halves: x [batch, heads, positions, headDim], positions [batch, positions], tables [positions, headDim/2]. */
  rotaryEmbedding(x: Tensor, positions: Tensor, cos: Tensor, sin: Tensor): Tensor {
    return this.node('RotaryEmbedding', [x, positions, cos, sin], x.shape, { interleaved: 0 }, microsoft)
  }

  /** table[ids], for ids [n] and a table [rows, width]. */
  gatherRows(table: Tensor, ids: Tensor): Tensor {
    return this.node('Gather', [table, ids], [size(ids, 0), size(table, 1)], { axis: 0 })
  }

  /**
   * Zeros [rows, width] with row i of `values` added to row ids[i]. Written with ScatterElements: ONNX Runtime's
   * ScatterND with reduction "add" races with itself when an id repeats and more than one thread runs.
   */
  scatterAddRows(rows: number, ids: Tensor, values: Tensor): Tensor {
    const column = this.reshape(ids, [size(ids, 0), 1])
    const expanded = this.node('Expand', [column, this.#ints(values.shape)], values.shape)
    const shape = [rows, size(values, 1)]
    const attributes = { axis: 0, reduction: 'add' }
    return this.node('ScatterElements', [this.zeros(shape), expanded, values], shape, attributes)
  }

  /** result[n, j] = a[n, ids[j]], for ids known now. */
  pickColumns(a: Tensor, ids: Int32Array): Tensor {
    const constant: Tensor = { name: this.graph.constant(ids, [ids.length]), shape: [ids.length], type: 'i32' }
    return this.node('Gather', [a, constant], [size(a, 0), ids.length], { axis: 1 })
  }

  /** Zeros [rows, columns] with column j of `a` added to column ids[j]. */
  unpickColumns(a: Tensor, ids: Int32Array, columns: number): Tensor {
    const constant = this.graph.constant(BigInt64Array.from(ids, BigInt), [1, ids.length])
    const expanded: Tensor = {
      name: this.graph.op('Expand', [constant, this.graph.ints(...a.shape)]),
      shape: a.shape,
      type: 'i64',
    }
    return this.scatterAddColumns(this.zeros([size(a, 0), columns]), expanded, a)
  }

  /** result[n, j] = a[n, ids[n, j]]. */
  gatherColumns(a: Tensor, ids: Tensor): Tensor {
    return this.node('GatherElements', [a, ids], ids.shape, { axis: 1 })
  }

  /** `a` with values[n, j] added at [n, ids[n, j]]. */
  scatterAddColumns(a: Tensor, ids: Tensor, values: Tensor): Tensor {
    return this.node('ScatterElements', [a, ids, values], a.shape, { axis: 1, reduction: 'add' })
  }

  /** Undoes broadcasting: sums `a` down to `shape`. */
  sumTo(a: Tensor, shape: readonly number[]): Tensor {
    if (sameShape(a.shape, shape)) return a
    const added = a.shape.length - shape.length
    const axes = a.shape.map((_, axis) => axis).filter((axis) => axis < added || shape[axis - added] !== size(a, axis))
    return this.reshape(axes.length === 0 ? a : this.reduce('ReduceSum', a, axes), shape)
  }

  #ints(values: readonly number[]): Tensor {
    return { name: this.graph.ints(...values), shape: [values.length], type: 'i64' }
  }
}

export function size(tensor: Tensor, axis: number): number {
  const found = tensor.shape.at(axis)
  if (found === undefined) throw new RangeError(`a tensor of shape [${tensor.shape.join()}] has no axis ${axis}`)
  return found
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1)
}

export function shapesDoNotFit(verb: string, a: Tensor, b: Tensor): RangeError {
  return new RangeError(`cannot ${verb} ${a.name} [${a.shape.join()}] and ${b.name} [${b.shape.join()}]`)
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis])
}

function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[a.length - rank + axis] ?? 1
    const right = b[b.length - rank + axis] ?? 1
    if (left !== right && left !== 1 && right !== 1) {
      throw new RangeError(`cannot broadcast [${a.join()}] with [${b.join()}]`)
    }
    return left === 1 ? right : left
  })
}
