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
