import { PlateauError } from '@plateau/contracts'

/** The request itself is wrong. `field` names the part that must change. */
export function badRequest(field: string, message: string, reason?: string): PlateauError {
  return new PlateauError('INVALID_ARGUMENT', message, { facts: { field, reason } })
}

export function unknownModel(model: string, served: string): PlateauError {
  return new PlateauError(
    'NOT_FOUND',
    `the model ${JSON.stringify(model)} does not exist; this server serves "${served}"`,
    {
      facts: { field: 'model', reason: 'model_not_found' },
    },
  )
}

/** The request may be sent again when `waitMs` have passed. `limit` names what it ran into. */
export function tooManyRequests(
  problem: string,
  { waitMs, ...facts }: { readonly limit: string; readonly tenant?: string; readonly waitMs: number },
): PlateauError {
  const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000))
  return new PlateauError('RESOURCE_EXHAUSTED', `${problem}; try again in ${retryAfterSeconds} s`, {
    facts: { ...facts, reason: 'rate_limit_exceeded', retryAfterSeconds },
    retryable: true,
  })
}

export function overloaded(limit: 'queue_full' | 'queue_wait', waiting: number, waitMs: number): PlateauError {
  const problem =
    limit === 'queue_full'
      ? `${waiting} requests are waiting already`
      : `the request waited for as long as one may, and ${waiting} others still do`
  return tooManyRequests(problem, { limit, waitMs })
}

export function unavailable(message: string, cause?: unknown): PlateauError {
  return new PlateauError('UNAVAILABLE', message, { retryable: true, cause })
}

export function deadlineExceeded(timeoutMs: number): PlateauError {
  return new PlateauError('DEADLINE_EXCEEDED', `the response took longer than ${timeoutMs / 1000} s`, {
    facts: { timeoutMs },
    retryable: true,
  })
}

export function cancelled(): PlateauError {
  return new PlateauError('CANCELLED', 'the client has gone')
}
