/** What a log line says of anything that was thrown, by OpenTelemetry's names; facts and causes where there are some. */
export function errorFields(thrown: unknown): Record<string, unknown> {
  const { facts, retryable, cause } = partsOf(thrown)
  const code = codeOf(thrown)
  const more = {
    ...(code === undefined ? {} : { code }),
    ...(facts === undefined ? {} : { facts }),
    ...(retryable === undefined ? {} : { retryable }),
    ...(cause === undefined ? {} : { cause: causeFields(cause, 1) }),
  }
  return {
    'error.type': errorCode(thrown),
    'exception.type': thrown instanceof Error ? thrown.name : typeof thrown,
    'exception.message': thrown instanceof Error ? thrown.message : String(thrown),
    ...(thrown instanceof Error && thrown.stack !== undefined ? { 'exception.stacktrace': thrown.stack } : {}),
    ...(Object.keys(more).length === 0 ? {} : { error: more }),
  }
}

/** The error's code, else its class. */
export function errorCode(thrown: unknown): string {
  return codeOf(thrown) ?? (thrown instanceof Error ? thrown.name : typeof thrown)
}

const DEEPEST_CAUSE = 5

function causeFields(thrown: unknown, depth: number): object {
  if (!(thrown instanceof Error)) return { message: String(thrown) }
  const { facts, cause } = partsOf(thrown)
  const code = codeOf(thrown)
  return {
    name: thrown.name,
    message: thrown.message,
    ...(code === undefined ? {} : { code }),
    ...(facts === undefined ? {} : { facts }),
    ...(cause === undefined || depth >= DEEPEST_CAUSE ? {} : { cause: causeFields(cause, depth + 1) }),
  }
}

function partsOf(thrown: unknown): {
  readonly facts?: unknown
  readonly retryable?: unknown
  readonly cause?: unknown
} {
  return thrown instanceof Error ? thrown : {}
}

function codeOf(thrown: unknown): string | undefined {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' || typeof code === 'number' ? String(code) : undefined
}
