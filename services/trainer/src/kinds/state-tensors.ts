/** What a learner keeps, as the tensors of a snapshot. */
import { floatTensor, integerTensor, toFloats, toIntegers, type Tensor } from '@plateau/model-files'
import type { OptimizerState } from '@plateau/training'

const ARRAYS = ['parameters', 'firstMoments', 'secondMoments'] as const

/** An optimiser's arrays, each name behind `prefix`; the number of steps is kept elsewhere. */
export function optimizerTensors(prefix: string, state: OptimizerState): (readonly [string, Tensor])[] {
  return ARRAYS.flatMap((array) =>
    [...state[array]].map(([name, data]) => [`${prefix}/${array}/${name}`, floatTensor([data.length], data)] as const),
  )
}

export function optimizerState(prefix: string, steps: number, tensors: ReadonlyMap<string, Tensor>): OptimizerState {
  const valuesOf = (array: string): Map<string, Float32Array> => {
    const start = `${prefix}/${array}/`
    const named = [...tensors].filter(([name]) => name.startsWith(start))
    return new Map(named.map(([name, tensor]) => [name.slice(start.length), toFloats(tensor)]))
  }
  return {
    steps,
    parameters: valuesOf('parameters'),
    firstMoments: valuesOf('firstMoments'),
    secondMoments: valuesOf('secondMoments'),
  }
}

/** Token ids. */
export function idsTensor(ids: Int32Array): Tensor {
  return integerTensor([ids.length], BigInt64Array.from(ids, BigInt))
}

export function idsOf(tensor: Tensor | undefined): Int32Array | undefined {
  return tensor && Int32Array.from(toIntegers(tensor), Number)
}
