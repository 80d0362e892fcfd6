import type { GraphBuilder } from '@plateau/tensor-graph'
import { parameterShapes, type CausalLmConfig, type Parameters } from './config.js'
import { gatherRows, multiplyBy } from './matrix-ops.js'
import { matrixKey, type PreparedMatrix, type PreparedWeights } from './prepared-weights.js'
import { stackedRows, weight } from './weights.js'

/** How a decoder's graph gets at its weights, in whatever format they are multiplied. Results are names of graph values. */
export interface GraphWeights {
  /** A norm's weight or a bias: f32 [length]. */
  vector(name: string): string
  /**
   * x [T, in] or [1, T, in] through linear layers that share their input, their outputs side by side: [.., out1 + out2 +
   * ...]. Names are without ".weight"; a layer's bias is added where the configuration has one.
   */
  linear(x: string, layers: readonly string[]): string
  /** Rows of the embedding table: i64 [..] to f32 [.., H]. */
  embed(tokenIds: string): string
}

/** How a graph under construction gets its weights: their format is not its concern. */
export type WeightsOf = (graph: GraphBuilder) => GraphWeights

/** The layer whose matrix is the embedding table, and the head of a tied model. */
export const embeddingLayer = 'model.embed_tokens'

/** Weights in the formats that prepareWeights chose. */
export function preparedWeights(graph: GraphBuilder, prepared: PreparedWeights): GraphWeights {
  const parts = (layers: readonly string[]) => found(prepared.matrices, matrixKey(layers))
  const vector = (name: string) => {
    const values = found(prepared.vectors, name)
    return graph.constant(values, [values.length])
  }
  return weightsThrough(graph, { vector, parts, hasBias: (layer) => prepared.vectors.has(`${layer}.bias`) })
}

/** Weights as 32-bit floats inside the model: exact, and large. */
export function floatWeights(graph: GraphBuilder, config: CausalLmConfig, parameters: Parameters): GraphWeights {
  const shapes = parameterShapes(config)
  const data = (name: string) => weight(parameters, name, found(shapes, name))
  const parts = (layers: readonly string[]): readonly PreparedMatrix[] => {
    const columns = found(shapes, `${layers[0]}.weight`)[1]!
    const values = stackedRows(layers.map((layer) => data(`${layer}.weight`)))
    return [{ kind: 'floats', rows: values.length / columns, columns, values }]
  }
  const vector = (name: string) => graph.constant(data(name), found(shapes, name))
  return weightsThrough(graph, { vector, parts, hasBias: (layer) => shapes.has(`${layer}.bias`) })
}

interface WeightLookup {
  readonly vector: (name: string) => string
  /** What multiplies for these layers, from the first rows of their outputs to the last. */
  readonly parts: (layers: readonly string[]) => readonly PreparedMatrix[]
  readonly hasBias: (layer: string) => boolean
}

function weightsThrough(graph: GraphBuilder, { vector, parts, hasBias }: WeightLookup): GraphWeights {
  const multiply = multiplyBy(graph)
  const sideBySide = (values: readonly string[], axis: number) =>
    values.length === 1 ? values[0]! : graph.op('Concat', values, { attributes: { axis } })
  return {
    vector,
    linear(x, layers) {
      const y = sideBySide(
        parts(layers).map((part) => multiply(x, part)),
        -1,
      )
      if (!hasBias(layers[0]!)) return y
      const biases = layers.map((layer) => vector(`${layer}.bias`))
      return graph.op('Add', [y, sideBySide(biases, 0)])
    },
    embed: (tokenIds) => gatherRows(graph, parts([embeddingLayer])[0]!, tokenIds),
  }
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name)
  if (value === undefined) throw new RangeError(`a model of this configuration has no parameter "${name}"`)
  return value
}
