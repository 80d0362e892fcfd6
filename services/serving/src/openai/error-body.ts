import { PlateauError } from '@plateau/contracts'

export interface HttpError {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: { readonly error: { message: string; type: string; param: string | null; code: string | null } }
}

const STATUS: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  OUT_OF_RANGE: 400,
  FAILED_PRECONDITION: 400,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  REQUEST_TIMEOUT: 408,
  BODY_TOO_LARGE: 413,
  RESOURCE_EXHAUSTED: 429,
  TOO_MANY_HEADERS: 431,
  CANCELLED: 499,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
}

/** Any error in OpenAI's shape. What is not a PlateauError is ours: the client learns only that it happened. */
export function httpError(error: unknown): HttpError {
  if (!(error instanceof PlateauError)) return internal()
  const status = STATUS[error.code] ?? (error.retryable ? 503 : 500)
  if (status === 500) return internal()
  const { field, reason } = error.facts
  return {
    status,
    headers: headersOf(status, error),
    body: {
      error: {
        message: error.message,
        type: typeOf(status),
        param: field === undefined ? null : String(field),
        code: reason === undefined ? null : String(reason),
      },
    },
  }
}

/** After these statuses whatever else is on the connection is not read. */
const CLOSING = new Set([408, 413, 431])

function headersOf(status: number, { facts }: PlateauError): Record<string, string> {
  if (CLOSING.has(status)) return { connection: 'close' }
  if (status === 401) return { 'www-authenticate': 'Bearer' }
  if (status !== 429 && status !== 503) return {}
  return { 'retry-after': String(facts['retryAfterSeconds'] ?? 1) }
}

function internal(): HttpError {
  const error = { message: 'internal error; the server has logged it', type: 'server_error', param: null, code: null }
  return { status: 500, headers: {}, body: { error } }
}

function typeOf(status: number): string {
  if (status === 429) return 'rate_limit_error'
  return status < 500 ? 'invalid_request_error' : 'server_error'
}
