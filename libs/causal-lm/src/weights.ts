import type { Parameters } from './config.js'

/** The data of a parameter, after a check that it is there with this shape. */
export function weight(parameters: Parameters, name: string, shape: readonly number[]): Float32Array {
  const parameter = parameters.get(name)
  if (!parameter) throw new TypeError(`the model has no parameter "${name}"`)
  const { data } = parameter
  if (parameter.shape.join() !== shape.join() || data.length !== shape.reduce((a, b) => a * b, 1)) {
    throw new TypeError(
      `the parameter "${name}" has shape [${parameter.shape.join(', ')}] and ${data.length} values, ` +
        `expected shape [${shape.join(', ')}]`,
    )
  }
  return data
}

/** A linear layer as a graph multiplies by it. */
export interface LinearWeights {
  readonly inputs: number
  readonly outputs: number
  /** [inputs, outputs] */
  readonly data: Float32Array
}

/** Linear layers [out, in] that share their input as one [in, out1 + out2 + ...]: one multiplication instead of many. */
export function stackedLinear(parts: readonly Float32Array[], inputs: number): LinearWeights {
  const outputs = parts.reduce((sum, part) => sum + part.length / inputs, 0)
  const data = new Float32Array(inputs * outputs)
  let column = 0
  for (const part of parts) {
    for (let row = 0; row < part.length; row += inputs, column++) {
      for (let i = 0; i < inputs; i++) data[i * outputs + column] = part[row + i]!
    }
  }
  return { inputs, outputs, data }
}
