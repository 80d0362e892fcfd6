import fc, { type Arbitrary } from 'fast-check'

/** Numbers that lie: at the edges of 31, 32, 53 and 63 bits, and small ones. */
const lies = [0n, 1n, 2n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 2n ** 40n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]

/** What parsers of text stumble over. */
const words = [
  ' ',
  '\n',
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  'null',
  '-1',
  '1e999',
  '0.5',
  '1e15',
  '9007199254740993',
  '\\ud800',
  '__proto__',
  'constructor',
  '%',
  '%00',
  '%ff',
  '../',
  '\0',
  '\r\n',
  '\ud83d\ude00',
  '\u0301',
  '\ufeff',
  '[[',
]

type Change =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'set'; readonly at: number; readonly byte: number }
  | { readonly kind: 'lie'; readonly at: number; readonly lie: number; readonly wide: boolean }
  | { readonly kind: 'cut' | 'remove' | 'repeat'; readonly at: number; readonly length: number }
  | { readonly kind: 'insert'; readonly at: number; readonly word: string }

/** Evenly from 0: `fc.double` is even over representations, nearly all of which are next to 0. */
const share = (most: number) => fc.integer({ min: 0, max: 2 ** 20 - 1 }).map((part) => (most * part) / 2 ** 20)

/** Where in the input, from 0 to 1; a quarter of all changes falls into its first hundredth, where headers are. */
const place = fc.oneof({ arbitrary: share(1), weight: 3 }, { arbitrary: share(0.01), weight: 1 })
const length = fc.integer({ min: 1, max: 64 })

const change: Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: place, bit: fc.integer({ min: 0, max: 7 }) }),
  fc.record({ kind: fc.constant('set' as const), at: place, byte: fc.integer({ min: 0, max: 255 }) }),
  fc.record({
    kind: fc.constant('lie' as const),
    at: place,
    lie: fc.integer({ min: 0, max: lies.length - 1 }),
    wide: fc.boolean(),
  }),
  fc.record({ kind: fc.constantFrom('cut' as const, 'remove' as const, 'repeat' as const), at: place, length }),
  fc.record({ kind: fc.constant('insert' as const), at: place, word: fc.constantFrom(...words) }),
)

/** A copy of one of these with one to three changes; shrinks to fewer changes of an earlier one. */
export function mutationsOf(corpus: readonly Uint8Array[]): Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.constantFrom(...corpus), fc.array(change, { minLength: 1, maxLength: 3 }))
    .map(([bytes, changes]) => changes.reduce<Uint8Array>(changed, bytes))
}

function changed(bytes: Uint8Array, one: Change): Uint8Array {
  const at = Math.floor(one.at * bytes.length)
  switch (one.kind) {
    case 'flip':
      return withByte(bytes, at, (bytes[at] ?? 0) ^ (1 << one.bit))
    case 'set':
      return withByte(bytes, at, one.byte)
    case 'lie': {
      const lie = Buffer.alloc(8)
      lie.writeBigUInt64LE(lies[one.lie]!)
      return overwritten(bytes, at, one.wide ? lie : lie.subarray(0, 4))
    }
    case 'cut':
      return bytes.subarray(0, at)
    case 'remove':
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + one.length)])
    case 'repeat':
      return Buffer.concat([bytes.subarray(0, at + one.length), bytes.subarray(at)])
    case 'insert':
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(one.word), bytes.subarray(at)])
  }
}

function withByte(bytes: Uint8Array, at: number, byte: number): Uint8Array {
  return overwritten(bytes, at, Uint8Array.of(byte))
}

function overwritten(bytes: Uint8Array, at: number, by: Uint8Array): Uint8Array {
  const out = Buffer.from(bytes)
  out.set(by.subarray(0, Math.max(0, out.length - at)), at)
  return out
}
