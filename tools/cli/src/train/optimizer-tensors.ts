import { floatTensor, toFloats, type Tensor } from '@plateau/model-files'
import type { OptimizerState } from '@plateau/training'

const ARRAYS = ['parameters', 'firstMoments', 'secondMoments'] as const
const STEPS = 'steps'

/** An optimiser's state as named tensors, each name behind `prefix`. */
export function optimizerTensors(prefix: string, state: OptimizerState): Map<string, Tensor> {
  const arrays = ARRAYS.flatMap((array) =>
    [...state[array]].map(([name, data]) => [`${prefix}/${array}/${name}`, floatTensor([data.length], data)] as const),
  )
  return new Map([[`${prefix}/${STEPS}`, floatTensor([1], Float32Array.of(state.steps))], ...arrays])
}

/** The reverse. Throws RangeError when nothing is there under the prefix. */
export function optimizerState(prefix: string, tensors: ReadonlyMap<string, Tensor>): OptimizerState {
  const steps = tensors.get(`${prefix}/${STEPS}`)
  if (steps === undefined) throw new RangeError(`there is no optimiser state ${prefix}`)
  const valuesOf = (array: string): Map<string, Float32Array> => {
    const start = `${prefix}/${array}/`
    const named = [...tensors].filter(([name]) => name.startsWith(start))
    return new Map(named.map(([name, tensor]) => [name.slice(start.length), toFloats(tensor).slice()]))
  }
  return {
    steps: toFloats(steps)[0]!,
    parameters: valuesOf('parameters'),
    firstMoments: valuesOf('firstMoments'),
    secondMoments: valuesOf('secondMoments'),
  }
}
