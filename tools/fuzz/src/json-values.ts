import fc, { type Arbitrary } from 'fast-check'

/** Any JSON text as bytes, `fields` more often than other names, with values that are wrong in their own ways. */
export function jsonWith(fields: readonly string[]): Arbitrary<Uint8Array> {
  const name = fc.oneof({ arbitrary: fc.constantFrom(...fields), weight: 8 }, { arbitrary: fc.string(), weight: 1 })
  const leaf = fc.oneof(
    fc.constantFrom<unknown>(null, true, false, '', 0, -1, 1, 2, 0.5, 1e308, -0, 2 ** 31, 2 ** 53, [], {}),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.integer({ min: -3, max: 70_000 }),
    fc.array(fc.integer({ min: -2, max: 5000 }), { maxLength: 6 }),
  )
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(name, tie('value'), { maxKeys: 5 }),
    ),
  }))
  const flat = fc.dictionary(name, fc.oneof(leaf, value), { maxKeys: 12 })
  return fc.oneof(flat, value).map((json) => Buffer.from(JSON.stringify(json) ?? 'null'))
}

/** Nested so deep that a parser which calls itself runs out of stack. */
export const deepJson: Arbitrary<Uint8Array> = fc
  .tuple(fc.constantFrom('[', '{"a":', '[{"a":'), fc.integer({ min: 1, max: 50_000 }))
  .map(([open, depth]) => Buffer.from(open.repeat(depth)))
