/**
 * Reverse-mode differentiation at graph-building time. Each operation emits its forward nodes at once and remembers how
 * to emit its backward nodes; `gradients` walks that tape from the loss back. The result is one plain ONNX graph that
 * any runtime can execute: there is nothing to differentiate when it runs.
 *
 * Notation: for a loss L and a value y, dy stands for dL/dy.
 */
import { GraphBuilder } from './graph-builder.js'
import { elementCount, shapesDoNotFit, size, StaticOps, type Tensor } from './static-ops.js'

/** Given dL/d(outputs), emits dL/d(inputs). An output that the loss does not depend on has no gradient. */
export type Backward = (outputGradients: readonly (Tensor | undefined)[]) => readonly (Tensor | undefined)[]

interface Step {
  readonly outputs: readonly Tensor[]
  readonly inputs: readonly Tensor[]
  readonly backward: Backward
}

/** cos and sin of every position and frequency, [positions, headDim / 2] row-major. */
export interface RotaryTable {
  readonly cos: Float32Array
  readonly sin: Float32Array
}

export class Tape {
  /** The same operators without a record, for backward passes and for values that need no gradient. */
  readonly raw: StaticOps
  readonly #steps: Step[] = []
  readonly #rotaryConstants = new Map<RotaryTable, Map<string, Tensor>>()

  constructor(graph: GraphBuilder = new GraphBuilder()) {
    this.raw = new StaticOps(graph)
  }

  /** Adds an operation of your own: forward nodes already emitted, backward nodes on demand. */
  record(outputs: readonly Tensor[], inputs: readonly Tensor[], backward: Backward): void {
    this.#steps.push({ outputs, inputs, backward })
  }

  /** dL/dx for each x of `variables`. Emits nodes only for values on a path from a variable to the loss. */
  gradients(loss: Tensor, variables: readonly Tensor[]): Tensor[] {
    if (elementCount(loss.shape) !== 1) throw new RangeError(`a loss is one number, not [${loss.shape.join()}]`)
    const dependent = new Set(variables.map((variable) => variable.name))
    for (const step of this.#steps) {
      if (!step.inputs.some((input) => dependent.has(input.name))) continue
      for (const output of step.outputs) dependent.add(output.name)
    }
    const gradients = new Map<string, Tensor>([[loss.name, this.raw.scalar(1)]])
    for (const step of this.#steps.toReversed()) {
      const outputGradients = step.outputs.map((output) => gradients.get(output.name))
      if (outputGradients.every((gradient) => gradient === undefined)) continue
      if (!step.inputs.some((input) => dependent.has(input.name))) continue
      const inputGradients = step.backward(outputGradients)
      step.inputs.forEach((input, i) => {
        const gradient = inputGradients[i]
        if (gradient === undefined || !dependent.has(input.name)) return
        const earlier = gradients.get(input.name)
        gradients.set(input.name, earlier === undefined ? gradient : this.raw.add(earlier, gradient))
      })
    }
    return variables.map((variable) => {
      const gradient = gradients.get(variable.name)
      if (gradient === undefined) throw new RangeError(`the loss does not depend on ${variable.name}`)
      return gradient
    })
  }

  add(a: Tensor, b: Tensor): Tensor {
    return this.#unary(this.raw.add(a, b), [a, b], (dy) => [this.raw.sumTo(dy, a.shape), this.raw.sumTo(dy, b.shape)])
  }

  sub(a: Tensor, b: Tensor): Tensor {
    return this.#unary(this.raw.sub(a, b), [a, b], (dy) => [
      this.raw.sumTo(dy, a.shape),
      this.raw.sumTo(this.raw.neg(dy), b.shape),
    ])
  }

  mul(a: Tensor, b: Tensor): Tensor {
    return this.#unary(this.raw.mul(a, b), [a, b], (dy) => [
      this.raw.sumTo(this.raw.mul(dy, b), a.shape),
      this.raw.sumTo(this.raw.mul(dy, a), b.shape),
    ])
  }

  div(a: Tensor, b: Tensor): Tensor {
    const y = this.raw.div(a, b)
    return this.#unary(y, [a, b], (dy) => {
      const da = this.raw.div(dy, b)
      return [this.raw.sumTo(da, a.shape), this.raw.sumTo(this.raw.neg(this.raw.mul(da, y)), b.shape)]
    })
  }

  /** The sum of all elements, as a number. */
  sum(a: Tensor): Tensor {
    const axes = a.shape.map((_, axis) => axis)
    const y = a.shape.length === 0 ? a : this.raw.reshape(this.raw.reduce('ReduceSum', a, axes), [])
    return this.#unary(y, [a], (dy) => [this.raw.add(this.raw.zeros(a.shape), dy)])
  }

  /** The sum over the last axis, which stays with size 1. */
  sumLast(a: Tensor): Tensor {
    const y = this.raw.reduce('ReduceSum', a, [a.shape.length - 1])
    return this.#unary(y, [a], (dy) => [this.raw.add(this.raw.zeros(a.shape), dy)])
  }

  reshape(a: Tensor, shape: readonly number[]): Tensor {
    const y = this.raw.reshape(a, shape)
    return y === a ? a : this.#unary(y, [a], (dy) => [this.raw.reshape(dy, a.shape)])
  }

  transpose(a: Tensor, order: readonly number[]): Tensor {
    const inverse = order.map((_, axis) => order.indexOf(axis))
    return this.#unary(this.raw.transpose(a, order), [a], (dy) => [this.raw.transpose(dy, inverse)])
  }

  /** Parts of the given sizes along `axis`. */
  split(a: Tensor, sizes: readonly number[], axis: number): Tensor[] {
    const parts = this.raw.split(a, sizes, axis)
    this.record(parts, [a], (gradients) => [
      this.raw.concat(
        parts.map((part, i) => gradients[i] ?? this.raw.zeros(part.shape)),
        axis,
      ),
    ])
    return parts
  }

  concat(parts: readonly Tensor[], axis: number): Tensor {
    const sizes = parts.map((part) => size(part, axis))
    return this.#unary(this.raw.concat(parts, axis), parts, (dy) => this.raw.split(dy, sizes, axis))
  }

  /** y = x w^T, with w stored [out, in] as checkpoints store it. */
  linear(x: Tensor, w: Tensor): Tensor {
    if (size(x, 1) !== size(w, 1)) throw shapesDoNotFit('multiply', x, w)
    return this.#unary(this.raw.gemm(x, w, { transB: true }), [x, w], (dy) => [
      this.raw.gemm(dy, w),
      this.raw.gemm(dy, x, { transA: true }),
    ])
  }

  /** scale * a b, or scale * a b^T, over equal leading axes. */
  batchedMatmul(a: Tensor, b: Tensor, { transB = false, scale = 1 } = {}): Tensor {
    const { raw } = this
    return this.#unary(raw.batchedMatmul(a, b, { transB, scale }), [a, b], (dy) => [
      raw.batchedMatmul(dy, b, { transB: !transB, scale }),
      transB ? raw.batchedMatmul(dy, a, { transA: true, scale }) : raw.batchedMatmul(a, dy, { transA: true, scale }),
    ])
  }

  /** Over the last axis. dx = y * (dy - sum(dy * y)). */
  softmax(a: Tensor): Tensor {
    const y = this.raw.softmax(a)
    const last = a.shape.length - 1
    return this.#unary(y, [a], (dy) => {
      const product = this.raw.mul(dy, y)
      return [this.raw.sub(product, this.raw.mul(y, this.raw.reduce('ReduceSum', product, [last])))]
    })
  }

  sigmoid(a: Tensor): Tensor {
    const y = this.raw.map('Sigmoid', a)
    return this.#unary(y, [a], (dy) => [this.raw.mul(dy, this.raw.mul(y, this.raw.sub(this.raw.scalar(1), y)))])
  }

  /** y = x s with s = sigmoid(x). dx = dy * (s + y - y s). */
  silu(x: Tensor): Tensor {
    const { raw } = this
    const s = raw.map('Sigmoid', x)
    const y = raw.mul(x, s)
    return this.#unary(y, [x], (dy) => [raw.mul(dy, raw.add(s, raw.sub(y, raw.mul(y, s))))])
  }

  /** y = w n with n = x r, r = 1 / sqrt(mean(x^2) + epsilon). dx = r * (w dy - n mean(w dy n)), dw = sum(dy n). */
  rmsNorm(x: Tensor, weight: Tensor, epsilon: number): Tensor {
    const { raw } = this
    const { y, reciprocalRms } = raw.rmsNorm(x, weight, epsilon)
    return this.#unary(y, [x, weight], (dy) => {
      const normed = raw.mul(x, reciprocalRms)
      const scaled = raw.mul(dy, weight)
      const along = raw.reduce('ReduceMean', raw.mul(scaled, normed), [x.shape.length - 1])
      return [
        raw.mul(raw.sub(scaled, raw.mul(normed, along)), reciprocalRms),
        raw.sumTo(raw.mul(dy, normed), weight.shape),
      ]
    })
  }

  /**
   * Rotary position embedding, halves rotated, of x [batch, heads, positions, headDim] at positions 0, 1, 2, ...
   * A rotation's transpose turns the other way, so the backward pass is the same operator with -sin.
   */
  rope(x: Tensor, table: RotaryTable): Tensor {
    const [batch, positions, half] = [size(x, 0), size(x, 2), size(x, 3) / 2]
    if (table.cos.length < positions * half || table.sin.length !== table.cos.length) {
      throw new RangeError(
        `rope needs tables of ${positions} x ${half}, got ${table.cos.length} and ${table.sin.length}`,
      )
    }
    const shape = [table.cos.length / half, half]
    const cos = this.#rotaryConstant(table, 'cos', () => this.raw.constant(table.cos, shape))
    const turn = (value: Tensor, sin: Tensor) => this.raw.rotaryEmbedding(value, ids, cos, sin)
    const ids = this.#rotaryConstant(table, `ids ${batch} ${positions}`, () => {
      const data = BigInt64Array.from({ length: batch * positions }, (_, i) => BigInt(i % positions))
      const name = this.raw.graph.constant(data, [batch, positions])
      return { name, shape: [batch, positions], type: 'i64' }
    })
    const sin = this.#rotaryConstant(table, 'sin', () => this.raw.constant(table.sin, shape))
    return this.#unary(turn(x, sin), [x], (dy) => [
      turn(
        dy,
        this.#rotaryConstant(table, '-sin', () =>
          this.raw.constant(
            table.sin.map((value) => -value),
            shape,
          ),
        ),
      ),
    ])
  }

  /** Rows of `table` [rows, width] at ids [n]: a token embedding, or a selection of positions. */
  gatherRows(table: Tensor, ids: Tensor): Tensor {
    return this.#unary(this.raw.gatherRows(table, ids), [table], (dy) => [
      this.raw.scatterAddRows(size(table, 0), ids, dy),
    ])
  }

  /** result[n, j] = a[n, ids[j]], for ids known now. */
  pickColumns(a: Tensor, ids: Int32Array): Tensor {
    return this.#unary(this.raw.pickColumns(a, ids), [a], (dy) => [this.raw.unpickColumns(dy, ids, size(a, 1))])
  }

  #unary(y: Tensor, inputs: readonly Tensor[], backward: (dy: Tensor) => readonly Tensor[]): Tensor {
    this.record([y], inputs, ([dy]) => (dy === undefined ? [] : backward(dy)))
    return y
  }

  #rotaryConstant(table: RotaryTable, key: string, make: () => Tensor): Tensor {
    const known = this.#rotaryConstants.get(table) ?? new Map<string, Tensor>()
    this.#rotaryConstants.set(table, known)
    const tensor = known.get(key) ?? make()
    known.set(key, tensor)
    return tensor
  }
}
