/**
 * A decoded message as it may be shown. Without `withPayload` nothing of what a user wrote or read is in it: arrays and
 * bytes are told by their length, and a token id stays hidden.
 */
export function messageOutline(message: unknown, withPayload: boolean): unknown {
  return withPayload ? inFull(message) : outline(message)
}

function outline(value: unknown, key = ''): unknown {
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (Array.isArray(value)) return `${value.length} values`
  if (/tokenIds?$/i.test(key)) return 'hidden'
  return isPlain(value) ? mapEntries(value, outline) : value
}

function inFull(value: unknown): unknown {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return value.map((entry) => inFull(entry))
  return isPlain(value) ? mapEntries(value, (entry) => inFull(entry)) : value
}

function mapEntries(value: object, map: (value: unknown, key: string) => unknown): object {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== undefined)
      .map(([key, entry]) => [key, map(entry, key)]),
  )
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
