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

export function overloaded(waiting: number): PlateauError {
  return new PlateauError('RESOURCE_EXHAUSTED', `${waiting} requests are waiting already; try again later`, {
    facts: { waiting },
    retryable: true,
  })
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
