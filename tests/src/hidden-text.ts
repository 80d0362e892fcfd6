/** Looks for a text in bytes that should not have it, as it is and in the forms that text takes on its way. */

export interface Form {
  readonly name: string
  readonly found: (haystack: string) => boolean
}

const contains = (name: string, needle: string): Form => ({
  name,
  found: (haystack) => haystack.toLowerCase().includes(needle.toLowerCase()),
})

/** The text itself, in any case, in hexadecimal, base64 at each of its three alignments, percent-encoded. */
export function formsOf(text: string): Form[] {
  const bytes = Buffer.from(text, 'utf8')
  return [
    contains('plain', text),
    contains('hexadecimal', bytes.toString('hex')),
    ...base64Forms(bytes),
    contains('percent-encoded', [...bytes].map((byte) => `%${byte.toString(16)}`).join('')),
    contains('bytes as numbers', bytes.join(',')),
  ]
}

/** Token ids one after another, whatever stands between two of them, or as little-endian 32-bit numbers. */
export function tokenForms(ids: readonly number[]): Form[] {
  const pattern = new RegExp(String.raw`(?<!\d)${ids.join(String.raw`[^\d]{1,12}`)}(?!\d)`)
  const packed = Buffer.from(Uint32Array.from(ids).buffer)
  return [
    { name: 'token ids', found: (haystack) => pattern.test(haystack) },
    ...base64Forms(packed).map((form) => ({ ...form, name: `packed token ids, ${form.name}` })),
  ]
}

/** Base64 is cut into threes: what stands before decides how the same bytes look. The ends depend on their neighbours. */
function base64Forms(bytes: Buffer): Form[] {
  return [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
    const own = encoded.replaceAll('=', '').slice(before === 0 ? 0 : 4, -1)
    const name = `base64, alignment ${before}`
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')].map((needle) => ({
      name,
      found: (haystack: string) => haystack.includes(needle),
    }))
  })
}
