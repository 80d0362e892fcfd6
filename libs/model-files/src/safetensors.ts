import { PlateauError } from '@plateau/contracts'
import { headerLength, parseHeader, prefixBytes, type TensorEntry } from './safetensors-header.js'
import { bytesPerElement, type Dtype, type Tensor } from './tensor.js'

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly metadata: Readonly<Record<string, string>>
}

/** A whole file in memory. The tensors share `bytes`. `file` names the source in errors. */
export function decodeSafetensors(bytes: Uint8Array, file: string): Safetensors {
  const length = headerLength(bytes.subarray(0, prefixBytes), bytes.length, file)
  const { tensors, metadata } = parseHeader(bytes.subarray(prefixBytes, prefixBytes + length), bytes.length, file)
  const read = ([name, entry]: readonly [string, TensorEntry]): [string, Tensor] => [
    name,
    { dtype: readableDtype(name, entry, file), shape: entry.shape, bytes: bytes.subarray(entry.begin, entry.end) },
  ]
  return { tensors: new Map([...tensors].map(read)), metadata }
}

/**
 * The bytes of a file. Tensors lie in the order of element width, widest first, and of name: each is then aligned for
 * its type, and the same tensors always give the same bytes.
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const ordered = [...tensors].toSorted(([nameA, a], [nameB, b]) => {
    return bytesPerElement[b.dtype] - bytesPerElement[a.dtype] || (nameA < nameB ? -1 : 1)
  })
  let at = 0
  const described = ordered.map(([name, { dtype, shape, bytes }]) => {
    const begin = at
    at += bytes.length
    return [name, { dtype, shape, data_offsets: [begin, at] }] as const
  })
  const metadataEntry = Object.keys(metadata).length === 0 ? [] : [['__metadata__', metadata] as const]
  const json = Buffer.from(JSON.stringify(Object.fromEntries([...metadataEntry, ...described])))
  const headerBytes = Math.ceil(json.length / 8) * 8
  const out = new Uint8Array(prefixBytes + headerBytes + at).fill(0x20, prefixBytes, prefixBytes + headerBytes)
  new DataView(out.buffer).setBigUint64(0, BigInt(headerBytes), true)
  out.set(json, prefixBytes)
  let written = prefixBytes + headerBytes
  for (const [, { bytes }] of ordered) {
    out.set(bytes, written)
    written += bytes.length
  }
  return out
}

export function readableDtype(tensor: string, { dtype }: TensorEntry, file: string): Dtype {
  if (dtype in bytesPerElement) return dtype as Dtype
  throw new PlateauError(
    'TENSOR_DTYPE',
    `tensor "${tensor}" in ${file} has dtype ${dtype}; expected one of ${Object.keys(bytesPerElement).join(', ')}`,
    { facts: { file, tensor, dtype } },
  )
}
