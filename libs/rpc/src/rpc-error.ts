/**
 * PlateauError <-> gRPC status. A PlateauError whose code is the name of a gRPC status (INVALID_ARGUMENT, NOT_FOUND, ...)
 * travels as that status; others as UNAVAILABLE when trying again can help, else INTERNAL. Code, facts and retryable
 * travel in the trailing metadata, so the client gets the very error that was thrown.
 */
import { messageOf, PlateauError, type ErrorFacts } from '@plateau/contracts'
import { Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js'

const CODE = 'plateau-code'
const RETRYABLE = 'plateau-retryable'
const FACTS = 'plateau-facts-bin'

/** Statuses that may pass by themselves, where the server's own word is missing. */
const TRANSIENT = new Set([status.UNAVAILABLE, status.ABORTED, status.DEADLINE_EXCEEDED])

/** An unexpected error (not a PlateauError) tells the client nothing but that it happened; the server reports it. */
export function toStatus(thrown: unknown): StatusObject {
  if (!(thrown instanceof PlateauError)) {
    return { code: status.INTERNAL, details: 'internal error; the server has logged it', metadata: new Metadata() }
  }
  const metadata = new Metadata()
  metadata.set(CODE, thrown.code)
  metadata.set(RETRYABLE, String(thrown.retryable))
  metadata.set(FACTS, Buffer.from(JSON.stringify(thrown.facts)))
  return { code: statusOf(thrown), details: thrown.message, metadata }
}

/** Whatever a call threw, as a PlateauError with the server's code where it sent one. */
export function fromServiceError(thrown: unknown): PlateauError {
  if (thrown instanceof PlateauError) return thrown
  if (!isServiceError(thrown)) return new PlateauError('RPC_FAILED', messageOf(thrown), { cause: thrown })
  const { metadata } = thrown
  const code = metadata.get(CODE)[0]?.toString() ?? status[thrown.code]
  const retryable = metadata.get(RETRYABLE)[0]?.toString()
  return new PlateauError(code, thrown.details || thrown.message, {
    facts: readFacts(metadata),
    retryable: retryable === undefined ? TRANSIENT.has(thrown.code) : retryable === 'true',
    cause: thrown,
  })
}

function statusOf(error: PlateauError): status {
  const named: status | undefined = (status as unknown as Record<string, status>)[error.code]
  if (typeof named === 'number') return named
  return error.retryable ? status.UNAVAILABLE : status.INTERNAL
}

function readFacts(metadata: Metadata): ErrorFacts {
  try {
    const packed = metadata.get(FACTS)[0]
    const facts: unknown = packed === undefined ? {} : JSON.parse(packed.toString())
    return typeof facts === 'object' && facts !== null ? (facts as ErrorFacts) : {}
  } catch {
    // A peer that is not ours; the status itself says enough.
    return {}
  }
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && 'code' in thrown && 'metadata' in thrown && thrown.metadata instanceof Metadata
}
