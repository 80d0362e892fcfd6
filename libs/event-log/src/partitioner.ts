/**
 * Kafka's default partitioner: murmur2 (Austin Appleby, seed 0x9747b28c) of the key's UTF-8 bytes, made positive, modulo
 * the partition count. The same key lands on the same partition in every adapter and in every Kafka client.
 */
export function partitionOf(key: string, partitions: number): number {
  return partitionOfKey(Buffer.from(key, 'utf8'), partitions)
}

/** The same for a key that is bytes already. */
export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

export function murmur2(data: Uint8Array): number {
  const m = 0x5bd1e995
  let h = 0x9747b28c ^ data.length
  let i = 0
  for (; i + 4 <= data.length; i += 4) {
    let k = data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24)
    k = Math.imul(k, m)
    k = Math.imul(k ^ (k >>> 24), m)
    h = Math.imul(h, m) ^ k
  }
  const rest = data.length - i
  if (rest >= 3) h ^= data[i + 2]! << 16
  if (rest >= 2) h ^= data[i + 1]! << 8
  if (rest >= 1) h = Math.imul(h ^ data[i]!, m)
  h = Math.imul(h ^ (h >>> 13), m)
  return h ^ (h >>> 15)
}
