import { parameterShapes, type CausalLmConfig, type Parameter } from './config.js'

const spread = 0.02

/**
 * Fresh parameters, as GPT-2 and Llama start: normal with a spread of 0.02, less for the projections that add to the
 * residual stream (its variance would grow with depth otherwise), norms at 1.
 *
 * @param random uniform in [0, 1)
 */
export function initialParameters(config: CausalLmConfig, random: () => number): Map<string, Parameter> {
  const residualSpread = spread / Math.sqrt(2 * config.layers)
  const parameters = new Map<string, Parameter>()
  for (const [name, shape] of parameterShapes(config)) {
    const data = new Float32Array(shape.reduce((product, length) => product * length, 1))
    if (shape.length === 1) data.fill(1)
    else fillNormal(data, addsToResidual(name) ? residualSpread : spread, random)
    parameters.set(name, { shape, data })
  }
  return parameters
}

function addsToResidual(name: string): boolean {
  return name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight')
}

/** Box-Muller. 1 - random() is never 0. */
export function fillNormal(data: Float32Array, deviation: number, random: () => number): void {
  for (let i = 0; i < data.length; i++) {
    data[i] = deviation * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  }
}
