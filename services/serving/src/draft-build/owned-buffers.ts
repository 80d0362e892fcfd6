type Bytes = Uint8Array | Float32Array

/** The buffers of arrays that have one to themselves, to hand over or to free. */
export function ownedBuffers(arrays: Iterable<Bytes>): ArrayBuffer[] {
  return [...arrays].flatMap(({ buffer, byteLength }) =>
    buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [],
  )
}

/**
 * Gives the arrays' memory back at once; they are empty from then on. Left to the collector, which does not see how large
 * they are, those of several versions would lie there together.
 */
export function freeBuffers(arrays: Iterable<Bytes>): void {
  for (const buffer of ownedBuffers(arrays)) buffer.transfer(0)
}
