/** Details of an error that a person or a log line needs: topic, offset, path, sizes. Never prompt text or keys. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * Every error Plateau throws on purpose. `code` is stable and machine-readable (SCREAMING_SNAKE), `message` is a
 * sentence for the person on call, `retryable` says whether trying the same thing again can help.
 */
export class PlateauError extends Error {
  readonly code: string
  readonly facts: ErrorFacts
  readonly retryable: boolean

  constructor(
    code: string,
    message: string,
    options: { facts?: ErrorFacts; retryable?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'PlateauError'
    this.code = code
    this.facts = options.facts ?? {}
    this.retryable = options.retryable ?? false
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
