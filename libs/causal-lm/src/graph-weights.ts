import type { GraphBuilder } from '@plateau/tensor-graph'
import { parameterShapes, type CausalLmConfig, type Parameters } from './config.js'
import { stackedLinear, weight } from './weights.js'

/** How a decoder's graph gets at its weights, in whatever format they are multiplied. Results are names of graph values. */
export interface GraphWeights {
  /** A norm's weight or a bias: f32 [length]. */
  vector(name: string): string
  /**
   * x [.., in] through linear layers that share their input, their outputs side by side: [.., out1 + out2 + ...]. Names
   * are without ".weight"; a layer's bias is added where the configuration has one.
   */
  linear(x: string, layers: readonly string[]): string
  /** Rows of the embedding table: i64 [T] to f32 [T, H]. */
  embed(tokenIds: string): string
}

/** Weights as 32-bit floats inside the model: exact, and large. */
export function floatWeights(graph: GraphBuilder, config: CausalLmConfig, parameters: Parameters): GraphWeights {
  const shapes = parameterShapes(config)
  const shapeOf = (name: string): readonly number[] => {
    const shape = shapes.get(name)
    if (shape === undefined) throw new RangeError(`a model of this configuration has no parameter "${name}"`)
    return shape
  }
  const data = (name: string) => weight(parameters, name, shapeOf(name))
  const vector = (name: string) => graph.constant(data(name), shapeOf(name))
  return {
    vector,
    linear(x, layers) {
      const inputs = shapeOf(`${layers[0]}.weight`)[1]!
      const stacked = stackedLinear(
        layers.map((layer) => data(`${layer}.weight`)),
        inputs,
      )
      const y = graph.op('MatMul', [x, graph.constant(stacked.data, [inputs, stacked.outputs])])
      if (!shapes.has(`${layers[0]}.bias`)) return y
      const biases = layers.map((layer) => vector(`${layer}.bias`))
      const bias = biases.length === 1 ? biases[0]! : graph.op('Concat', biases, { attributes: { axis: 0 } })
      return graph.op('Add', [y, bias])
    },
    embed(tokenIds) {
      const name = 'model.embed_tokens.weight'
      return graph.op('Gather', [graph.constant(data(name), shapeOf(name)), tokenIds])
    },
  }
}
