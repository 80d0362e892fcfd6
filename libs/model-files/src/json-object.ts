import { PlateauError } from '@plateau/contracts'

export type JsonObject = Readonly<Record<string, unknown>>

/** Parses a file's text that must be a JSON object; `code` is the error's. */
export function parseJsonObject(json: string, file: string, code: string): JsonObject {
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch (cause) {
    throw new PlateauError(code, `${file} is not JSON`, { facts: { file }, cause })
  }
  if (isJsonObject(parsed)) return parsed
  throw new PlateauError(code, `${file} is not a JSON object`, { facts: { file } })
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
