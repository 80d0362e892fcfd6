/** Numbers that lie: at the edges of 31, 32, 53 and 63 bits, and small ones. */
const lies = [0n, 1n, 2n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 2n ** 40n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]

/** The same for the same seed. */
export function seeded(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}

/** A copy with one to four things changed in its first `within` bytes; sometimes cut short, or with a piece repeated. */
export function mutated(bytes: Uint8Array, within: number, random: (limit: number) => number): Uint8Array {
  let out = Buffer.from(bytes)
  for (let changes = 1 + random(4); changes > 0; changes--) {
    const at = random(Math.min(within, out.length))
    const kind = random(8)
    if (kind <= 2) out[at] = out[at]! ^ (1 << random(8))
    else if (kind === 3) out[at] = random(256)
    else if (kind === 4 && at + 8 <= out.length) out.writeBigUInt64LE(lies[random(lies.length)]!, at)
    else if (kind === 5 && at + 4 <= out.length) out.writeUInt32LE(Number(lies[random(6)]!), at)
    else if (kind === 6) out = Buffer.concat([out.subarray(0, at + random(64)), out.subarray(at)])
    else if (kind === 7 && random(4) === 0) out = out.subarray(0, Math.max(1, at))
  }
  return out
}
