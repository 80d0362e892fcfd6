/** Arrays by element type, as they cross into and out of the engine. */
interface ElementArrays {
  float32: Float32Array
  float64: Float64Array
  int32: Int32Array
  int64: BigInt64Array
  uint8: Uint8Array
  bool: Uint8Array
}

export type ElementType = keyof ElementArrays

/** A tensor in ordinary memory, row-major; `dims` multiply to `data.length`, [] is a scalar. */
export type HostTensor = {
  [T in ElementType]: { readonly type: T; readonly dims: readonly number[]; readonly data: ElementArrays[T] }
}[ElementType]

export type FloatTensor = Extract<HostTensor, { type: 'float32' }>
export type DoubleTensor = Extract<HostTensor, { type: 'float64' }>

export function float32(data: Float32Array, dims: readonly number[] = [data.length]): FloatTensor {
  return { type: 'float32', dims, data }
}

export function float64(data: Float64Array, dims: readonly number[] = [data.length]): DoubleTensor {
  return { type: 'float64', dims, data }
}

export function int32(data: ArrayLike<number>, dims: readonly number[] = [data.length]): HostTensor {
  return { type: 'int32', dims, data: data instanceof Int32Array ? data : Int32Array.from(data) }
}

/** Values above 2^53 do not fit a number: pass a BigInt64Array for those. */
export function int64(data: ArrayLike<number> | BigInt64Array, dims: readonly number[] = [data.length]): HostTensor {
  return { type: 'int64', dims, data: data instanceof BigInt64Array ? data : bigints(data) }
}

function bigints(data: ArrayLike<number>): BigInt64Array {
  const out = new BigInt64Array(data.length)
  for (let i = 0; i < data.length; i++) out[i] = BigInt(data[i]!)
  return out
}

/**
 * Gives an output's memory back at once; its array is empty from then on. For large outputs that are read right away: left
 * to the collector, some hundred of them make it look through the whole heap (tens of milliseconds), because it does not
 * see how little keeps them.
 */
export function freeOutput({ data }: HostTensor): void {
  const { buffer } = data
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}
