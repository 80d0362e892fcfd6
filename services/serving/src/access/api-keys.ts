import { messageOf, PlateauError } from '@plateau/contracts'
import { createHash, timingSafeEqual } from 'node:crypto'

/** What a tenant may ask for; undefined: without a bound. */
export interface TenantLimits {
  readonly requestsPerMinute: number | undefined
  /** Prompt tokens and those asked for. */
  readonly tokensPerMinute: number | undefined
  /** Responses at once. */
  readonly maxConcurrent: number | undefined
}

/** One key as the file has it. The key itself is nowhere: only its digest. */
export interface ApiKey extends TenantLimits {
  readonly name: string
  /** SHA-256 of the key, 64 hexadecimal digits. */
  readonly sha256: string
  readonly tenant: string
  /** May order roll-outs. */
  readonly admin: boolean
  /** Whether this key's requests may be streamed to the event log. */
  readonly capture: boolean
  /** Its responses are decoded plainly: then how fast tokens come tells a listener nothing of what they say. */
  readonly noSpeculation: boolean
}

const FIELDS = [
  'name',
  'sha256',
  'tenant',
  'admin',
  'capture',
  'noSpeculation',
  'requestsPerMinute',
  'tokensPerMinute',
  'maxConcurrent',
]
const LIMITS = ['requestsPerMinute', 'tokensPerMinute', 'maxConcurrent'] as const
const MAX_NAME_LENGTH = 256

/**
 * The keys of a file's text: {"keys": [...]}. Throws API_KEYS_INVALID naming what is wrong. Names and digests are unique;
 * keys of one tenant share its limits, so that two of them must not name different ones.
 */
export function parseApiKeys(text: string): ApiKey[] {
  const file = objectOf(parseJson(text), 'the file', ['keys'])
  if (!Array.isArray(file['keys'])) throw invalid('keys must be a list')
  const keys = file['keys'].map(apiKey)
  requireUnique(keys, 'name')
  requireUnique(keys, 'sha256')
  for (const limit of LIMITS) requireOneLimit(keys, limit)
  return keys
}

/** The file's text for these keys; what is not set is left out. */
export function formatApiKeys(keys: readonly ApiKey[]): string {
  return `${JSON.stringify({ keys }, undefined, 2)}\n`
}

/** What stands in the file for a key. */
export function digestOf(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

/** The key whose digest is that of `presented`. Takes the same time wherever it stands, and whether it is there or not. */
export function findKey(keys: readonly ApiKey[], presented: string): ApiKey | undefined {
  const digest = Buffer.from(digestOf(presented), 'hex')
  let found: ApiKey | undefined
  for (const key of keys) if (timingSafeEqual(Buffer.from(key.sha256, 'hex'), digest)) found = key
  return found
}

/** What the tenant's keys say together. */
export function limitsOf(keys: readonly ApiKey[], tenant: string): TenantLimits {
  const own = keys.filter((key) => key.tenant === tenant)
  const said = (limit: keyof TenantLimits): number | undefined => own.find((key) => key[limit] !== undefined)?.[limit]
  return {
    requestsPerMinute: said('requestsPerMinute'),
    tokensPerMinute: said('tokensPerMinute'),
    maxConcurrent: said('maxConcurrent'),
  }
}

function apiKey(value: unknown, index: number): ApiKey {
  const path = `keys[${index}]`
  const fields = objectOf(value, path, FIELDS)
  const sha256 = fields['sha256']
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256))
    throw invalid(`${path}.sha256 must be 64 lower-case hexadecimal digits, the SHA-256 of the key`)
  return {
    name: nameIn(fields, 'name', path),
    sha256,
    tenant: nameIn(fields, 'tenant', path),
    admin: flagIn(fields, 'admin', path),
    capture: flagIn(fields, 'capture', path),
    noSpeculation: flagIn(fields, 'noSpeculation', path),
    requestsPerMinute: limitIn(fields, 'requestsPerMinute', path),
    tokensPerMinute: limitIn(fields, 'tokensPerMinute', path),
    maxConcurrent: limitIn(fields, 'maxConcurrent', path),
  }
}

type Json = Readonly<Record<string, unknown>>

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalid(`it is not JSON: ${messageOf(cause)}`)
  }
}

function objectOf(value: unknown, path: string, known: readonly string[]): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${path} must be a JSON object`)
  const unknown = Object.keys(value).find((name) => !known.includes(name))
  if (unknown !== undefined) throw invalid(`${path} has an unknown field ${JSON.stringify(unknown)}`)
  return value as Json
}

function nameIn(fields: Json, name: string, path: string): string {
  const value = fields[name]
  if (typeof value !== 'string' || value === '' || value.length > MAX_NAME_LENGTH)
    throw invalid(`${path}.${name} must be a text of 1 to ${MAX_NAME_LENGTH} characters`)
  return value
}

function flagIn(fields: Json, name: string, path: string): boolean {
  const value = fields[name] ?? false
  if (typeof value !== 'boolean') throw invalid(`${path}.${name} must be true or false`)
  return value
}

function limitIn(fields: Json, name: string, path: string): number | undefined {
  const value = fields[name]
  if (value === undefined) return undefined
  if (!Number.isSafeInteger(value) || (value as number) < 1)
    throw invalid(`${path}.${name} must be a whole number, at least 1`)
  return value as number
}

function requireUnique(keys: readonly ApiKey[], field: 'name' | 'sha256'): void {
  const seen = new Map<string, number>()
  for (const [index, key] of keys.entries()) {
    const first = seen.get(key[field])
    if (first !== undefined) throw invalid(`keys[${first}] and keys[${index}] have the same ${field}`)
    seen.set(key[field], index)
  }
}

function requireOneLimit(keys: readonly ApiKey[], limit: (typeof LIMITS)[number]): void {
  const first = new Map<string, ApiKey>()
  for (const key of keys) {
    if (key[limit] === undefined) continue
    const other = first.get(key.tenant) ?? key
    first.set(key.tenant, other)
    if (other[limit] === key[limit]) continue
    const tenant = JSON.stringify(key.tenant)
    throw invalid(
      `keys ${JSON.stringify(other.name)} and ${JSON.stringify(key.name)} of tenant ${tenant} name different ${limit}`,
    )
  }
}

function invalid(problem: string): PlateauError {
  return new PlateauError('API_KEYS_INVALID', `the API keys cannot be used: ${problem}`)
}
