/** Sums of the closed form as the tensors of a snapshot, and what stands beside them as JSON. */
import { doubleTensor, toDoubles, type Tensor } from '@plateau/model-files'
import { decodeSums, encodeSums, type RidgeSums, type SumBankState, type SumKey } from '@plateau/training'
import type { StreamedSumsState } from './streamed-sums.js'

export interface SumsFacts {
  readonly bank: Pick<SumBankState, 'options' | 'positions'> & { readonly keys: readonly SumKey[] }
  readonly sinceAdvance: number
}

/** The tensors are called `prefix` and a number. */
export function encodeStreamedSums(
  prefix: string,
  { bank: { cells, ...bank }, sinceAdvance }: StreamedSumsState,
): { readonly facts: SumsFacts; readonly tensors: ReadonlyMap<string, Tensor> } {
  const tensors = new Map(cells.map(({ sums }, i) => [`${prefix}${i}`, sumsTensor(sums)]))
  return { facts: { bank: { ...bank, keys: cells.map(({ key }) => key) }, sinceAdvance }, tensors }
}

/** Throws an Error of any kind when it is not what `encodeStreamedSums` gives. */
export function decodeStreamedSums(
  prefix: string,
  { bank: { keys, ...options }, sinceAdvance }: SumsFacts,
  tensors: ReadonlyMap<string, Tensor>,
): StreamedSumsState {
  const cells = keys.map((key, i) => ({ key, sums: sumsOf(tensors.get(`${prefix}${i}`)!) }))
  return { bank: { ...options, cells }, sinceAdvance }
}

function sumsTensor(sums: RidgeSums): Tensor {
  const bytes = encodeSums(sums)
  return doubleTensor([bytes.length / 8], new Float64Array(bytes.buffer))
}

function sumsOf(tensor: Tensor): RidgeSums {
  const doubles = toDoubles(tensor)
  return decodeSums(new Uint8Array(doubles.buffer, doubles.byteOffset, doubles.byteLength))
}
