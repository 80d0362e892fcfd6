import {
  preparedWeights,
  prepareWeights,
  type CausalLmConfig,
  type QuantizedMatrix,
  type WeightFormat,
  type WeightSource,
} from '@plateau/causal-lm'
import { GraphBuilder } from '@plateau/tensor-graph'
import { afterEach, describe, expect, test } from 'vitest'
import { float32, int64 } from './host-tensor.js'
import { loadSession, type InferenceSession } from './session.js'

const loaded: InferenceSession[] = []
afterEach(() => Promise.all(loaded.splice(0).map((session) => session.release())))

function random(seed: number): () => number {
  let state = seed >>> 0
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
}

function configOf(hiddenSize: number): CausalLmConfig {
  return {
    vocabSize: 29,
    hiddenSize,
    layers: 1,
    heads: 3,
    kvHeads: 1,
    headDim: 8,
    intermediateSize: 17,
    rmsNormEps: 1e-5,
    ropeTheta: 10_000,
    attentionBias: true,
    maxPositions: 8,
    tieEmbeddings: true,
    bosTokenId: undefined,
    eosTokenIds: [],
  }
}

/** A stored matrix of random blocks. */
function blocksOf(rows: number, columns: number, format: { bits: 4 | 8; blockSize: number; offsets: boolean }) {
  const next = random(rows * 31 + columns + format.bits)
  const blocks = (rows * columns) / format.blockSize
  return {
    rows,
    columns,
    bits: format.bits,
    blockSize: format.blockSize,
    codes: Uint8Array.from({ length: rows * columns }, () => next() * 2 ** format.bits),
    scales: Float32Array.from({ length: blocks }, () => 0.001 + next() * 0.01),
    offsets: format.offsets ? Float32Array.from({ length: blocks }, () => (next() - 0.7) * 0.1) : undefined,
  } satisfies QuantizedMatrix
}

/** By the definition in weight-source.ts. */
function dequantized(matrix: QuantizedMatrix): Float32Array {
  return Float32Array.from(matrix.codes, (code, i) => {
    const block = Math.floor(i / matrix.blockSize)
    const scale = matrix.scales[block]!
    return scale * code + (matrix.offsets?.[block] ?? -(2 ** (matrix.bits - 1)) * scale)
  })
}

type Stored = QuantizedMatrix | { readonly rows: number; readonly columns: number; readonly values: Float32Array }

const valuesOf = (stored: Stored) => ('values' in stored ? stored.values : dequantized(stored))

function floatsOf(rows: number, columns: number): Stored {
  const next = random(rows + columns)
  return { rows, columns, values: Float32Array.from({ length: rows * columns }, () => next() - 0.5) }
}

function sourceOf(matrices: Record<string, Stored>): WeightSource {
  return {
    names: Object.keys(matrices),
    async read(name) {
      const stored = matrices[name]
      if (stored === undefined) return { shape: [biasLength(name)], data: biasOf(name) }
      return { shape: [stored.rows, stored.columns], data: valuesOf(stored) }
    },
    async readBlocks(name) {
      const stored = matrices[name]!
      return 'values' in stored ? undefined : stored
    },
  }
}

const biasLength = (name: string) => (name.includes('q_proj') ? 24 : 8)
const biasOf = (name: string) => Float32Array.from({ length: biasLength(name) }, (_, i) => i / 10 + name.length)

const layers = ['q', 'k', 'v'].map((kind) => `model.layers.0.self_attn.${kind}_proj`)

/** y = x through q, k and v side by side; rows = rows of the table. */
async function projections(matrices: Record<string, Stored>, hiddenSize: number, format: WeightFormat) {
  const config = configOf(hiddenSize)
  const requests = { vectors: [], linears: [layers], embeds: true }
  const prepared = await prepareWeights(config, requests, sourceOf(matrices), format, async (pieces) =>
    Buffer.concat(pieces.map((piece) => new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength))),
  )
  const graph = new GraphBuilder()
  const weights = preparedWeights(graph, prepared)
  const x = graph.input('x', 'f32', [1, 'T', hiddenSize])
  graph.output('y', weights.linear(x, layers), 'f32', [1, 'T', 40])
  graph.output('rows', weights.embed(graph.input('ids', 'i64', ['R'])), 'f32', ['R', hiddenSize])
  const session = await loadSession(graph.encode(), { name: 'projections', threads: 1 })
  loaded.push(session)
  return { session, prepared }
}

function matricesOf(make: (rows: number, columns: number, index: number) => Stored, columns: number) {
  const rows = [29, 24, 8, 8]
  const names = ['model.embed_tokens', ...layers].map((layer) => `${layer}.weight`)
  return Object.fromEntries(names.map((name, i) => [name, make(rows[i]!, columns, i)]))
}

/** Largest |y - expected| in units of the bound for each product. */
async function worst(
  session: InferenceSession,
  matrices: Record<string, Stored>,
  x: Float32Array,
  hiddenSize: number,
  bound: (xRow: Float32Array, wRow: Float32Array) => number,
): Promise<number> {
  const count = x.length / hiddenSize
  const { y } = await session.run({ x: float32(x, [1, count, hiddenSize]), ids: int64([0]) }, ['y'])
  let largest = 0
  for (let t = 0; t < count; t++) {
    const xRow = x.subarray(t * hiddenSize, (t + 1) * hiddenSize)
    let column = 0
    for (const layer of layers) {
      const values = valuesOf(matrices[`${layer}.weight`]!)
      const bias = biasOf(`${layer}.bias`)
      for (let row = 0; row < values.length / hiddenSize; row++, column++) {
        const wRow = values.subarray(row * hiddenSize, (row + 1) * hiddenSize)
        const expected = wRow.reduce((sum, w, i) => sum + w * xRow[i]!, bias[row]!)
        largest = Math.max(largest, Math.abs((y!.data[t * 40 + column] as number) - expected) / bound(xRow, wRow))
      }
    }
  }
  return largest
}

/** Whole numbers up to 127, and 127 in every run of 16: the engine's rounding of x to 8 bits leaves them as they are. */
function wholeNumbers(count: number, hiddenSize: number): Float32Array {
  const next = random(count)
  return Float32Array.from({ length: count * hiddenSize }, (_, i) =>
    (i % hiddenSize) % 16 === 3 ? 127 : Math.round((next() - 0.5) * 200),
  )
}

/** Single precision's rounding of a sum of such products. */
const rounding = (xRow: Float32Array, wRow: Float32Array) =>
  2e-6 * (4 + xRow.reduce((sum, value, i) => sum + Math.abs(value * wRow[i]!), 0))

describe('stored blocks are multiplied as they are', () => {
  const formats = {
    'Q8_0: 8 bits, blocks of 32': { bits: 8, blockSize: 32, offsets: false },
    'Q4_0: 4 bits, blocks of 32': { bits: 4, blockSize: 32, offsets: false },
    'Q4_1: 4 bits with an offset': { bits: 4, blockSize: 32, offsets: true },
  } as const
  test.each(Object.entries(formats))('%s', async (_, format) => {
    const hiddenSize = 96
    const matrices = matricesOf((rows, columns) => blocksOf(rows, columns, format), hiddenSize)
    const { session } = await projections(matrices, hiddenSize, 'int4')
    expect(await worst(session, matrices, wholeNumbers(5, hiddenSize), hiddenSize, rounding)).toBeLessThan(1)

    const ids = [28, 0, 7, 7]
    const x = float32(new Float32Array(hiddenSize), [1, 1, hiddenSize])
    const { rows } = await session.run({ x, ids: int64(ids) }, ['rows'])
    const table = valuesOf(matrices['model.embed_tokens.weight']!)
    ids.forEach((id, i) => {
      for (let c = 0; c < hiddenSize; c++) {
        expect(rows!.data[i * hiddenSize + c]).toBeCloseTo(table[id * hiddenSize + c]!, 6)
      }
    })
  })
})

test('layers of different formats stand side by side: 4 bits where they are stored, 8 bits elsewhere', async () => {
  const hiddenSize = 64
  const matrices = matricesOf((rows, columns, index) => {
    if (index === 1) return blocksOf(rows, columns, { bits: 4, blockSize: 32, offsets: true })
    return index === 2 ? floatsOf(rows, columns) : blocksOf(rows, columns, { bits: 8, blockSize: 32, offsets: false })
  }, hiddenSize)
  const { session, prepared } = await projections(matrices, hiddenSize, 'int4')
  const parts = prepared.matrices.get(layers.join(' + '))!
  expect(parts.map((part) => (part.kind === 'blocks' ? [part.bits, part.blockSize, part.rows] : []))).toEqual([
    [4, 32, 24],
    [8, 64, 8],
    [8, 32, 8],
  ])
  const bound = (xRow: Float32Array, wRow: Float32Array) =>
    rounding(xRow, wRow) + xRow.reduce((sum, value) => sum + Math.abs(value), 0) * (0.5 / 254)
  expect(await worst(session, matrices, wholeNumbers(3, hiddenSize), hiddenSize, bound)).toBeLessThan(1)
})

describe('floats', () => {
  test.each([40, 64, 100, 128])(
    '%i columns: in 8 bits each weight is off by its block 1/254 at most',
    async (columns) => {
      const matrices = matricesOf(floatsOf, columns)
      const { session } = await projections(matrices, columns, 'int8')
      // Values reach 0.5.
      const bound = (xRow: Float32Array, wRow: Float32Array) =>
        rounding(xRow, wRow) + xRow.reduce((sum, value) => sum + Math.abs(value), 0) * (0.5 / 254)
      expect(await worst(session, matrices, wholeNumbers(4, columns), columns, bound)).toBeLessThan(1)

      const x = float32(new Float32Array(columns), [1, 1, columns])
      const { rows } = await session.run({ x, ids: int64([28, 3]) }, ['rows'])
      expect(rows!.dims).toEqual([2, columns])
      const table = valuesOf(matrices['model.embed_tokens.weight']!)
      for (let c = 0; c < columns; c++) {
        expect(Math.abs(Number(rows!.data[columns + c]) - table[3 * columns + c]!)).toBeLessThan(0.5 / 253)
      }
    },
  )

  test('as f32 they are exact', async () => {
    const matrices = matricesOf(floatsOf, 40)
    const { session } = await projections(matrices, 40, 'f32')
    const next = random(5)
    const x = Float32Array.from({ length: 120 }, () => next() - 0.5)
    expect(await worst(session, matrices, x, 40, rounding)).toBeLessThan(1)
  })
})

test('x is rounded to 8 bits block by block: products of any x are off by that much, and no more', async () => {
  const hiddenSize = 128
  const format = { bits: 8, blockSize: 32, offsets: false } as const
  const matrices = matricesOf((rows, columns) => blocksOf(rows, columns, format), hiddenSize)
  const { session } = await projections(matrices, hiddenSize, 'int8')
  const next = random(9)
  const x = Float32Array.from({ length: 3 * hiddenSize }, (_, i) => (next() - 0.5) * 10 ** (Math.floor(i / 32) % 4))
  const bound = (xRow: Float32Array, wRow: Float32Array) =>
    rounding(xRow, wRow) +
    wRow.reduce((sum, w, i) => {
      const block = xRow.subarray(i - (i % 32), i - (i % 32) + 32)
      return sum + Math.abs(w) * (Math.max(...block.map(Math.abs)) / 253)
    }, 0)
  const error = await worst(session, matrices, x, hiddenSize, bound)
  expect(error).toBeLessThan(1)
  expect(error).toBeGreaterThan(0.001)
})
