import { parameterShapes, type CausalLmConfig, type Parameters, type WeightSource } from '@plateau/causal-lm'

/** Parameters that are in memory already, as a source of weights. */
export function memoryWeights(config: CausalLmConfig, parameters: Parameters): WeightSource {
  return {
    names: [...parameterShapes(config).keys()],
    async read(name) {
      const parameter = parameters.get(name)
      if (parameter === undefined) throw new TypeError(`the model has no parameter "${name}"`)
      return parameter
    },
    async readBlocks() {
      return undefined
    },
  }
}
