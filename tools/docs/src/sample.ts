/** A record as it was produced: captured from a running system, decoded only to be shown. */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf'

export interface Sample {
  readonly topic: string
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  /** The record's value, base64. */
  readonly value: string
}

const SHOWN_ITEMS = 6

/** JSON for people: long lists are cut, numbers rounded to six digits. */
export function readable(value: JsonObject): string {
  // Short lists on one line: a column of numbers says less in more space.
  return JSON.stringify(shorten(value), undefined, 2).replaceAll(/\[\s+([^[\]{}]*?)\s+\]/g, (_, items: string) => {
    return `[${items.replaceAll(/\s*\n\s*/g, ' ')}]`
  })
}

function shorten(value: JsonValue): JsonValue {
  if (typeof value === 'number') return Number(value.toPrecision(6))
  if (Array.isArray(value)) {
    const items = value.slice(0, SHOWN_ITEMS).map(shorten)
    return value.length > SHOWN_ITEMS ? [...items, `... ${value.length - SHOWN_ITEMS} more`] : items
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, shorten(item)]))
}
