import { GraphBuilder } from '@plateau/tensor-graph'
import { ridgeDiagonal, type RidgeSums } from '@plateau/training'
import { float64, type DoubleTensor } from './host-tensor.js'
import { loadSession, type InferenceSession } from './session.js'

/** Columns eliminated at once. What is left to plain code grows with it, what is copied shrinks. */
const BLOCK = 256

/**
 * W = (gram + Lambda)^-1 moment by a Cholesky factorisation in blocks: nearly all of it are matrix products in double
 * precision, which the compute engine does on all its threads. `solveRidge` (libs/training) is the plain version.
 *
 *   for every block column k:   C = gram[k.., k] + Lambda - sum over j < k of L[k.., j] L[k, j]'
 *                               L[k, k] L[k, k]' = C[k]          L[below, k] = C[below] (L[k, k]^-1)'
 *   forward:    y[k] = L[k, k]^-1 (b[k] - sum over j < k of L[k, j] y[j])
 *   back:       w[k] = (L[k, k]^-1)' (y[k] - L[below, k]' w[below])
 *
 * Between two products other work of the process gets its turn: none takes longer than some tens of milliseconds.
 */
export class RidgeSolver {
  readonly #products: Readonly<Record<Product, InferenceSession>>

  private constructor(products: Readonly<Record<Product, InferenceSession>>) {
    this.#products = products
  }

  static async create({ threads }: { readonly threads: number }): Promise<RidgeSolver> {
    const open = async (name: Product) =>
      [name, await loadSession(productGraph(products[name]), { threads, name: `product ${name}` })] as const
    const sessions = await Promise.all((Object.keys(products) as Product[]).map(open))
    return new RidgeSolver(Object.fromEntries(sessions) as Record<Product, InferenceSession>)
  }

  /**
   * [D, O]. `lambda`: as for solveRidge. The sums must not change meanwhile. Needs about as much memory again as the
   * sums. Throws RangeError when they are not positive definite.
   */
  async solve(sums: RidgeSums, lambda: number | Float64Array): Promise<Float64Array> {
    const columns = await this.#factor(sums, ridgeDiagonal(sums, lambda))
    return this.#back(columns, await this.#forward(columns, sums), sums)
  }

  /** gram W, [D, O]: the moment from which W would be solved. */
  async moment(sums: RidgeSums, w: Float64Array): Promise<Float64Array> {
    const { inputs: d, outputs, gram } = sums
    const full = gram.slice()
    for (let i = 0; i < d; i++) for (let j = i + 1; j < d; j++) full[i * d + j] = gram[j * d + i]!
    return this.#run('a b', { data: full, rows: d, columns: d }, { data: w, rows: d, columns: outputs })
  }

  async release(): Promise<void> {
    for (const session of Object.values(this.#products)) await session.release()
  }

  async #factor(sums: RidgeSums, lambda: Float64Array): Promise<BlockColumn[]> {
    const columns: BlockColumn[] = []
    for (let from = 0; from < sums.inputs; from += BLOCK) {
      const width = Math.min(BLOCK, sums.inputs - from)
      let c = columnOf(sums, lambda, from, width)
      for (const done of columns) {
        const rows = rowsOf(done.l, from - done.from)
        c = { ...c, data: await this.#run("c - a b'", rows, rowsOf(rows, 0, width), c) }
      }
      const inverse = factorDiagonal(c, from, sums.inputs, lambda)
      const below = rowsOf(c, width)
      if (below.rows > 0) below.data.set(await this.#run("a b'", below, inverse))
      columns.push({ from, width, l: c, inverse })
    }
    return columns
  }

  async #forward(columns: readonly BlockColumn[], { inputs, outputs, moment }: RidgeSums): Promise<Matrix> {
    const y: Matrix = { data: new Float64Array(moment.length), rows: inputs, columns: outputs }
    let rest: Matrix = { data: moment, rows: inputs, columns: outputs }
    for (const { from, width, l, inverse } of columns) {
      const block = rowsOf(y, from, width)
      block.data.set(await this.#run('a b', inverse, rowsOf(rest, 0, width)))
      const below = rowsOf(rest, width)
      if (below.rows > 0) rest = { ...below, data: await this.#run('c - a b', rowsOf(l, width), block, below) }
    }
    return y
  }

  /** Overwrites y. */
  async #back(columns: readonly BlockColumn[], y: Matrix, { inputs }: RidgeSums): Promise<Float64Array> {
    for (const { from, width, l, inverse } of columns.toReversed()) {
      const block = rowsOf(y, from, width)
      const solved = rowsOf(y, from + width)
      const data =
        from + width < inputs ? await this.#run("c - a' b", rowsOf(l, width), solved, block) : block.data.slice()
      block.data.set(await this.#run("a' b", inverse, { ...block, data }))
    }
    return y.data
  }

  async #run(product: Product, a: Matrix, b: Matrix, c?: Matrix): Promise<Float64Array> {
    const outputs = await this.#products[product].run({ a: tensor(a), b: tensor(b), ...(c && { c: tensor(c) }) })
    return (outputs['y'] as DoubleTensor).data
  }
}

interface Matrix {
  /** [rows, columns], row-major. */
  readonly data: Float64Array
  readonly rows: number
  readonly columns: number
}

interface BlockColumn {
  readonly from: number
  readonly width: number
  /** Rows `from` and below of L, [D - from, width]. */
  readonly l: Matrix
  /** L[k, k]^-1, [width, width]. */
  readonly inverse: Matrix
}

const products = {
  'a b': { transA: 0, transB: 0, subtract: false },
  "a b'": { transA: 0, transB: 1, subtract: false },
  "a' b": { transA: 1, transB: 0, subtract: false },
  'c - a b': { transA: 0, transB: 0, subtract: true },
  "c - a b'": { transA: 0, transB: 1, subtract: true },
  "c - a' b": { transA: 1, transB: 0, subtract: true },
} as const

type Product = keyof typeof products

function productGraph({ transA, transB, subtract }: (typeof products)[Product]): Uint8Array {
  const graph = new GraphBuilder()
  const inputs = [graph.input('a', 'f64', ['A0', 'A1']), graph.input('b', 'f64', ['B0', 'B1'])]
  if (subtract) inputs.push(graph.input('c', 'f64', ['Y0', 'Y1']))
  const attributes = { transA, transB, alpha: { float: subtract ? -1 : 1 } }
  graph.output('y', graph.op('Gemm', inputs, { attributes }), 'f64', ['Y0', 'Y1'])
  return graph.encode()
}

function tensor({ data, rows, columns }: Matrix): DoubleTensor {
  return float64(data, [rows, columns])
}

/** A view of `rows` rows from row `from` on; to the end by default. */
function rowsOf({ data, columns, rows: all }: Matrix, from: number, rows = all - from): Matrix {
  return { data: data.subarray(from * columns, (from + rows) * columns), rows, columns }
}

/** Rows `from` and below of the lower triangle of gram + Lambda, [D - from, width]. */
function columnOf({ inputs: d, gram }: RidgeSums, lambda: Float64Array, from: number, width: number): Matrix {
  const data = new Float64Array((d - from) * width)
  for (let row = from; row < d; row++) {
    const end = Math.min(row + 1, from + width)
    data.set(gram.subarray(row * d + from, row * d + end), (row - from) * width)
  }
  for (let i = 0; i < width; i++) data[i * width + i]! += lambda[from + i]!
  return { data, rows: d - from, columns: width }
}

/** The first `columns` rows of c become L with L L' = c, in place; returns L^-1. */
function factorDiagonal(c: Matrix, from: number, inputs: number, lambda: Float64Array): Matrix {
  const { data: l, columns: n } = c
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = l[i * n + j]!
      for (let k = 0; k < j; k++) sum -= l[i * n + k]! * l[j * n + k]!
      if (j < i) {
        l[i * n + j] = sum / l[j * n + j]!
        continue
      }
      if (!(sum > 0)) {
        const where = `pivot ${from + i} of ${inputs} is ${sum} with lambda ${lambda[from + i]}`
        throw new RangeError(`the sums are not positive definite: ${where}`)
      }
      l[i * n + i] = Math.sqrt(sum)
    }
    l.fill(0, i * n + i + 1, (i + 1) * n)
  }
  return { data: invertLower(l, n), rows: n, columns: n }
}

/** Row by row: x[i] = (unit[i] - sum over k < i of l[i, k] x[k]) / l[i, i]. */
function invertLower(l: Float64Array, n: number): Float64Array {
  const x = new Float64Array(n * n)
  for (let i = 0; i < n; i++) {
    x[i * n + i] = 1
    for (let k = 0; k < i; k++) {
      const factor = l[i * n + k]!
      for (let j = 0; j <= k; j++) x[i * n + j]! -= factor * x[k * n + j]!
    }
    const scale = 1 / l[i * n + i]!
    for (let j = 0; j <= i; j++) x[i * n + j]! *= scale
  }
  return x
}
