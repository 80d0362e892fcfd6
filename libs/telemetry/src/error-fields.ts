/** What a log line shows of anything that was thrown: code, facts and causes where there are some. */
export function errorFields(thrown: unknown, depth = 0): object {
  if (!(thrown instanceof Error)) return { message: String(thrown) }
  const { code, facts, retryable } = thrown as { code?: unknown; facts?: unknown; retryable?: unknown }
  return {
    name: thrown.name,
    message: thrown.message,
    ...(code === undefined ? {} : { code }),
    ...(facts === undefined ? {} : { facts }),
    ...(retryable === undefined ? {} : { retryable }),
    ...(depth === 0 ? { stack: thrown.stack } : {}),
    ...(thrown.cause === undefined || depth > 4 ? {} : { cause: errorFields(thrown.cause, depth + 1) }),
  }
}
