import type { GraphBuilder } from '@plateau/tensor-graph'
import { gatherRows, multiplyBy } from './matrix-ops.js'
import { matrixKey, type PreparedWeights } from './prepared-weights.js'

/** How a decoder's graph gets at its weights, in whatever format they are multiplied. Results are names of graph values. */
export interface GraphWeights {
  /** A norm's weight or a bias: f32 [length]. */
  vector(name: string): string
  /**
   * x [T, in] or [1, T, in] through linear layers that share their input, their outputs side by side: [.., out1 + out2 +
   * ...]. Names are without ".weight"; a layer's bias is added where the configuration has one.
   */
  linear(x: string, layers: readonly string[]): string
  /** Rows of the embedding table: i32 or i64 [..] to f32 [.., H]. */
  embed(tokenIds: string): string
}

/** How a graph under construction gets its weights: their format is not its concern. */
export type WeightsOf = (graph: GraphBuilder) => GraphWeights

/** The layer whose matrix is the embedding table, and the head of a tied model. */
export const embeddingLayer = 'model.embed_tokens'

/** Weights in the formats that prepareWeights chose. */
export function preparedWeights(graph: GraphBuilder, prepared: PreparedWeights): GraphWeights {
  const multiply = multiplyBy(graph)
  const sideBySide = (values: readonly string[], axis: number) =>
    values.length === 1 ? values[0]! : graph.op('Concat', values, { attributes: { axis } })
  const vector = (name: string) => {
    const values = found(prepared.vectors, name)
    return graph.constant(values, [values.length])
  }
  return {
    vector,
    linear(x, layers) {
      const parts = found(prepared.matrices, matrixKey(layers)).map((part) => multiply(x, part))
      const y = sideBySide(parts, -1)
      if (!prepared.vectors.has(`${layers[0]}.bias`)) return y
      const biases = layers.map((layer) => vector(`${layer}.bias`))
      return graph.op('Add', [y, sideBySide(biases, 0)])
    },
    embed: (tokenIds) => gatherRows(graph, found(prepared.matrices, matrixKey([embeddingLayer]))[0]!, tokenIds),
  }
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name)
  if (value === undefined) throw new RangeError(`no weights were prepared for "${name}"`)
  return value
}
