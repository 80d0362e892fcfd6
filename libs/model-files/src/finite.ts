import { PlateauError } from '@plateau/contracts'

/** One such weight makes every answer meaningless; it is found when its tensor is read, not when a client complains. */
export function checkFinite(data: Float32Array, tensor: string, file: string): void {
  // A sum is finite only if all its terms are, and it is taken far faster than every value is looked at by itself.
  let sum = 0
  for (let i = 0; i < data.length; i++) sum += data[i]!
  if (Number.isFinite(sum)) return
  const index = data.findIndex((value) => !Number.isFinite(value))
  throw new PlateauError(
    'TENSOR_NOT_FINITE',
    `tensor "${tensor}" in ${file} holds ${data[index]} at index ${index}; the file is damaged or its training diverged`,
    { facts: { file, tensor, index } },
  )
}
