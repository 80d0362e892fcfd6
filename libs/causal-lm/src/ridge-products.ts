import { Tape } from '@plateau/tensor-graph'
import { pairRows } from './feature-head-batch.js'
import { featureHeadInputs, type FeatureHead } from './feature-head.js'

/** Columns of X to a block: the blocks above the diagonal, nearly half of them at real sizes, are left out. */
const BLOCK_COLUMNS = 512

/** A block of gram = X' diag(w) X on or below its diagonal. */
export interface GramBlock {
  /** The graph's output that holds it, [rows, columns]. */
  readonly name: string
  /** Where it begins. */
  readonly row: number
  readonly column: number
  readonly rows: number
  readonly columns: number
}

/** The blocks that buildRidgeProductsGraph computes: together the lower triangle of [D, D]. */
export function gramBlocks(inputs: number): GramBlock[] {
  const parts = blockSizes(inputs)
  return parts.flatMap((rows, i) =>
    parts.slice(0, i + 1).map((columns, j) => ({
      name: `gram.${i}.${j}`,
      row: i * BLOCK_COLUMNS,
      column: j * BLOCK_COLUMNS,
      rows,
      columns,
    })),
  )
}

function blockSizes(inputs: number): number[] {
  return Array.from({ length: Math.ceil(inputs / BLOCK_COLUMNS) }, (_, i) =>
    Math.min(BLOCK_COLUMNS, inputs - i * BLOCK_COLUMNS),
  )
}

/**
 * Products for the closed form over n rows: inputs `token` [n, H], `feature` [n, H], `next_feature` [n, H], `weights`
 * [n, 1]; out X' diag(w) X in `gramBlocks`, and `moment` [D, H] = X' diag(w) Y with Y = next_feature / norm. Of the head
 * only the fixed random features matter.
 */
export function buildRidgeProductsGraph(
  { config, parameters }: FeatureHead,
  rows: number,
  norm: Float32Array,
): Uint8Array {
  const h = config.hiddenSize
  const tape = new Tape()
  const { raw } = tape
  const token = raw.input('token', [rows, h])
  const feature = raw.input('feature', [rows, h])
  const next = raw.input('next_feature', [rows, h])
  const weights = raw.input('weights', [rows, 1])
  const fixed = [...parameters].filter(([name]) => name.startsWith('bilinear.'))
  const x = pairRows(
    tape,
    config,
    token,
    feature,
    new Map(fixed.map(([name, { data, shape }]) => [name, raw.constant(data, shape)])),
  )
  const weighted = raw.mul(x, weights)
  raw.output('moment', raw.gemm(weighted, raw.div(next, raw.constant(norm, [h])), { transA: true }))
  const sizes = blockSizes(featureHeadInputs(config))
  const left = raw.split(weighted, sizes, 1)
  const right = raw.split(x, sizes, 1)
  left.forEach((a, i) =>
    right.slice(0, i + 1).forEach((b, j) => raw.output(`gram.${i}.${j}`, raw.gemm(a, b, { transA: true }))),
  )
  return raw.graph.encode()
}
