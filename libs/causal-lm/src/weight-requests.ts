import type { WeightsOf } from './graph-weights.js'

/** What a graph asks of its weights. Reading them takes time, building a graph does not: ask first, then read, then build. */
export interface WeightRequests {
  readonly vectors: readonly string[]
  /** Layers that are multiplied together. */
  readonly linears: readonly (readonly string[])[]
  readonly embeds: boolean
}

/**
 * @param build makes the graph with the weights that it is given; they are stand-ins, so that the graph cannot run, but
 *   its encoding says all about its structure
 */
export function recordRequests(build: (weightsOf: WeightsOf) => unknown): WeightRequests {
  const vectors = new Set<string>()
  const linears = new Map<string, readonly string[]>()
  let embeds = false
  build((graph) => ({
    vector(name) {
      vectors.add(name)
      return graph.op('Vector', [], { attributes: { of: name } })
    },
    linear(x, layers) {
      linears.set(layers.join(), layers)
      return graph.op('Linear', [x], { attributes: { of: layers.join() } })
    },
    embed(tokenIds) {
      embeds = true
      return graph.op('Embed', [tokenIds])
    },
  }))
  return { vectors: [...vectors], linears: [...linears.values()], embeds }
}
