import type { Parameters } from './config.js'

/**
 * Throws RangeError naming what is missing, misshapen, unknown or not finite.
 *
 * @param owner whose they are, for the message
 */
export function checkParameters(
  owner: string,
  parameters: Parameters,
  shapes: ReadonlyMap<string, readonly number[]>,
): void {
  for (const [name, shape] of shapes) {
    const found = parameters.get(name)
    if (found === undefined) throw new RangeError(`the ${owner} lacks the parameter ${name}`)
    if (found.shape.join() !== shape.join()) {
      throw new RangeError(`${name} has shape [${found.shape.join()}], expected [${shape.join()}]`)
    }
    if (!found.data.every(Number.isFinite)) throw new RangeError(`${name} has numbers that are not finite`)
  }
  for (const name of parameters.keys()) {
    if (!shapes.has(name)) throw new RangeError(`${name} is not a parameter of this ${owner}`)
  }
}
