/** What a learner keeps, as the tensors of a snapshot. */
import { floatTensor, integerTensor, toFloats, toIntegers, type Tensor } from '@plateau/model-files'
import type { OptimizerState } from '@plateau/training'

const ARRAYS = ['parameters', 'firstMoments', 'secondMoments'] as const

/** An optimiser's arrays, each name behind `prefix`; the number of steps is kept elsewhere. */
export function optimizerTensors(prefix: string, state: OptimizerState): (readonly [string, Tensor])[] {
  return ARRAYS.flatMap((array) => parameterTensors(`${prefix}/${array}`, state[array]))
}

export function optimizerState(prefix: string, steps: number, tensors: ReadonlyMap<string, Tensor>): OptimizerState {
  const valuesOf = (array: string) => parametersOf(`${prefix}/${array}`, tensors) ?? new Map<string, Float32Array>()
  return {
    steps,
    parameters: valuesOf('parameters'),
    firstMoments: valuesOf('firstMoments'),
    secondMoments: valuesOf('secondMoments'),
  }
}

/** Arrays of a draft's parameters, each name behind `prefix`. */
export function parameterTensors(
  prefix: string,
  parameters: ReadonlyMap<string, Float32Array>,
): (readonly [string, Tensor])[] {
  return [...parameters].map(([name, data]) => [`${prefix}/${name}`, floatTensor([data.length], data)] as const)
}

/** The arrays behind `prefix`, by what comes after it; undefined where there are none. */
export function parametersOf(
  prefix: string,
  tensors: ReadonlyMap<string, Tensor>,
): Map<string, Float32Array> | undefined {
  const start = `${prefix}/`
  const named = [...tensors].filter(([name]) => name.startsWith(start))
  if (named.length === 0) return undefined
  return new Map(named.map(([name, tensor]) => [name.slice(start.length), toFloats(tensor)]))
}

/** Token ids. */
export function idsTensor(ids: Int32Array): Tensor {
  return integerTensor([ids.length], BigInt64Array.from(ids, BigInt))
}

export function idsOf(tensor: Tensor | undefined): Int32Array | undefined {
  return tensor && Int32Array.from(toIntegers(tensor), Number)
}
