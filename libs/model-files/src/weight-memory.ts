import type { WeightFormat } from '@plateau/causal-lm'
import { PlateauError } from '@plateau/contracts'
import type { StoredTensor } from './opened-model.js'

/** What a process has for a model's weights, and the format in which it will hold them. */
export interface MemoryLimit {
  readonly freeBytes: number
  readonly format: WeightFormat
}

/**
 * Bytes that a model's weights take in memory, by format: f32 exactly, the others with a 32-bit scale (and a shift, where
 * the file has one) for every block of codes. What a running batch remembers comes on top. Infinity: the file does not
 * hold its matrices in that format.
 */
export function weightMemory(tensors: readonly StoredTensor[]): Readonly<Record<WeightFormat, number>> {
  const sum = (bytesPerElement: (tensor: StoredTensor) => number): number =>
    Math.ceil(tensors.reduce((total, tensor) => total + tensor.elements * bytesPerElement(tensor), 0))
  const eight = ({ type, isMatrix }: StoredTensor): number =>
    isMatrix ? (kept8.has(type) ? 1 + 4 / 32 : 1 + 4 / 64) : 4
  const has4 = tensors.some(({ type }) => kept4.has(type))
  return {
    f32: sum(() => 4),
    int8: sum(eight),
    int4: has4 ? sum((tensor) => kept4.get(tensor.type) ?? eight(tensor)) : Infinity,
  }
}

/** Throws MODEL_TOO_LARGE with both sizes. */
export function requireMemory(
  path: string,
  tensors: readonly StoredTensor[],
  { freeBytes, format }: MemoryLimit,
): void {
  const neededBytes = weightMemory(tensors)[format]
  if (neededBytes <= freeBytes || neededBytes === Infinity) return
  const [needed, free] = [megabytes(neededBytes), megabytes(freeBytes)]
  throw new PlateauError(
    'MODEL_TOO_LARGE',
    `the weights of ${path} take ${needed} as ${format}, and ${free} of memory are free; choose a smaller format or model`,
    { facts: { path, format, neededBytes, freeBytes } },
  )
}

/** Codes of 8 bits that are taken as they are, by block of 32. */
const kept8 = new Set(['Q8_0', 'Q5_0'])
/** Codes of 4 bits in blocks of 32: with a scale, or with a scale and a shift. */
const kept4 = new Map([
  ['Q4_0', 1 / 2 + 4 / 32],
  ['Q4_1', 1 / 2 + 8 / 32],
  ['Q4_K', 1 / 2 + 8 / 32],
])

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB`
}
