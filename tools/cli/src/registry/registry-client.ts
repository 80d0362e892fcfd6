import { messageOf, PlateauError } from '@plateau/contracts'

const TIMEOUT_MS = 10_000
const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json'
/** The registry's own codes under status 404, of which only these say "not there" about the thing asked for. */
const SUBJECT_UNKNOWN = 40_401
const SCHEMA_UNKNOWN = 40_403

export interface RegisteredSchema {
  readonly id: number
  readonly version: number
}

export interface Compatibility {
  readonly isCompatible: boolean
  readonly messages: readonly string[]
}

/** Confluent's schema registry API, as Karapace and Apicurio (its ccompat path) speak it, too. Protobuf only. */
export class RegistryClient {
  readonly #base: string
  readonly #headers: Readonly<Record<string, string>>

  /** `credentials`: "user:password" for basic authentication. */
  constructor(url: string, credentials?: string) {
    this.#base = url.replace(/\/+$/, '')
    const basic = credentials === undefined ? undefined : Buffer.from(credentials).toString('base64')
    this.#headers = {
      'content-type': CONTENT_TYPE,
      accept: CONTENT_TYPE,
      ...(basic === undefined ? {} : { authorization: `Basic ${basic}` }),
    }
  }

  /** Where exactly this schema stands under the subject; undefined when it is not there. */
  async find(subject: string, schema: string): Promise<RegisteredSchema | undefined> {
    const { status, body } = await this.#post(`/subjects/${encodeURIComponent(subject)}`, schema)
    if (isUnknown(status, body)) return undefined
    return { id: wholeNumber(body, 'id'), version: wholeNumber(body, 'version') }
  }

  /** Registers it as the subject's next version. Throws SCHEMA_REFUSED when it is not compatible with those before. */
  async register(subject: string, schema: string): Promise<RegisteredSchema> {
    await this.#post(`/subjects/${encodeURIComponent(subject)}/versions`, schema)
    const registered = await this.find(subject, schema)
    if (registered !== undefined) return registered
    throw unexpected(this.#base, `it took ${subject} and does not know it afterwards`)
  }

  /** Against the subject's newest version; undefined when there is no such subject. */
  async compatibility(subject: string, schema: string): Promise<Compatibility | undefined> {
    const path = `/compatibility/subjects/${encodeURIComponent(subject)}/versions/latest?verbose=true`
    const { status, body } = await this.#post(path, schema)
    if (isUnknown(status, body)) return undefined
    if (typeof body['is_compatible'] !== 'boolean') throw unexpected(this.#base, 'it did not say is_compatible')
    const messages = Array.isArray(body['messages']) ? body['messages'].map(String) : []
    return { isCompatible: body['is_compatible'], messages }
  }

  async #post(path: string, schema: string): Promise<Answer> {
    const answer = await this.#fetch(path, JSON.stringify({ schemaType: 'PROTOBUF', schema }))
    const { status, body } = answer
    if (status < 300 || isUnknown(status, body)) return answer
    const said = typeof body['message'] === 'string' ? body['message'] : `status ${status}`
    if (status === 409 || status === 422) throw new PlateauError('SCHEMA_REFUSED', said, { facts: { status } })
    if (status === 401 || status === 403) {
      throw new PlateauError('SCHEMA_REGISTRY_DENIED', `the schema registry at ${this.#base} refused us: ${said}`)
    }
    throw unexpected(this.#base, said)
  }

  async #fetch(path: string, body: string): Promise<Answer> {
    let response: Response
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS)
      response = await fetch(this.#base + path, { method: 'POST', headers: this.#headers, body, signal })
    } catch (thrown) {
      // fetch says only "fetch failed"; what happened is in its cause.
      const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown
      const why = messageOf(cause) || String((cause as { code?: unknown }).code)
      throw unexpected(this.#base, `cannot be reached: ${why}`, cause)
    }
    const text = await response.text()
    return { status: response.status, body: jsonObject(text) }
  }
}

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

function isUnknown(status: number, body: Answer['body']): boolean {
  return status === 404 && (body['error_code'] === SUBJECT_UNKNOWN || body['error_code'] === SCHEMA_UNKNOWN)
}

function jsonObject(text: string): Answer['body'] {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Answer['body']) : {}
  } catch {
    return {}
  }
}

function wholeNumber(body: Answer['body'], name: string): number {
  const number = body[name]
  if (typeof number === 'number' && Number.isInteger(number)) return number
  throw new PlateauError('SCHEMA_REGISTRY_UNAVAILABLE', `the schema registry answered without "${name}": is this one?`)
}

function unexpected(base: string, what: string, cause?: unknown): PlateauError {
  return new PlateauError('SCHEMA_REGISTRY_UNAVAILABLE', `the schema registry at ${base}: ${what}`, {
    retryable: true,
    cause,
  })
}
