import { float32, int32, int64, type HostTensor } from './host-tensor.js'
import type { InferenceSession } from './session.js'

/** So many tokens of the past lie in the cache: a usual answer's. */
const pastRows = 128

/**
 * Feeds for one step of one token: not a sensible one, but one that takes as long. A dimension's letter says its size: 1,
 * but for P; "P_plus_S" is a sum.
 */
export function oneTokenFeeds(session: InferenceSession): Record<string, HostTensor> {
  const sizeOf = (letter: string) => (letter === 'P' ? pastRows : 1)
  const dimension = (name: string) => name.split('_plus_').reduce((sum, letter) => sum + sizeOf(letter), 0)
  return Object.fromEntries(
    session.inputs.map(({ name, type, dims }) => {
      return [
        name,
        ones(
          type,
          dims.map((size) => (typeof size === 'number' ? size : dimension(size))),
        ),
      ]
    }),
  )
}

/** 0 for indices, 1 for all else: temperatures must not be 0. */
function ones(type: string, dims: readonly number[]): HostTensor {
  const length = dims.reduce((product, size) => product * size, 1)
  if (type === 'float32') return float32(new Float32Array(length).fill(1), dims)
  return type === 'int32' ? int32(new Int32Array(length), dims) : int64(new BigInt64Array(length), dims)
}
