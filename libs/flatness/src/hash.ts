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

/**
 * A position's lot in [0, 1), from its window's lot and its index in the window: breaks ties between positions, and draws
 * those that are kept at random.
 */
export function lotOfPosition(lot: number, index: number): number {
  return nthFrom(lot, index + 1)
}

/** Rounds the threshold that a window is compared with; unrelated to the lot itself, which breaks ties. */
export function roundingTicketOf(lot: number): number {
  return nthFrom(lot, -1)
}

/** Draws what weighted sampling keeps; unrelated to the lot itself, which the random strategy ranks by. */
export function drawOf(lot: number): number {
  return nthFrom(lot, -2)
}

/** SplitMix over the 32 bits that a lot is made of: unrelated numbers for different n, none of them related to the lot. */
function nthFrom(lot: number, n: number): number {
  return finalise((lot * 2 ** 32 + Math.imul(n, 0x9e3779b9)) | 0) / 2 ** 32
}
