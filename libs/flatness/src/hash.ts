/**
 * A number in [0, 1) that depends on nothing but its two strings: 32-bit FNV-1a over the UTF-16 code units of
 * `salt`, a zero and `text`, then MurmurHash3's finaliser, which spreads what FNV-1a leaves in the low bits. Different
 * salts give unrelated numbers. It is not the log's partitioner (murmur2), so a partition holds every arm.
 */
export function hashToUnit(salt: string, text: string): number {
  return finalise(fnv1a(text, fnv1a('\0', fnv1a(salt, 0x811c9dc5)))) / 2 ** 32
}

function fnv1a(text: string, start: number): number {
  let hash = start
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193)
  }
  return hash
}

function finalise(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
