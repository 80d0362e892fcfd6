export type KafkaDevErrorCode =
  /** Java 17, Maven or openssl is missing, or too old. */
  | 'UNAVAILABLE'
  /** A port that was asked for is in use. */
  | 'PORT_TAKEN'
  /** The folder is not ours, or was made with other settings. */
  | 'WRONG_FOLDER'
  /** An option that cannot work. */
  | 'BAD_OPTION'
  /** A broker or a Java tool exited, or did not come up in time. */
  | 'FAILED'
  /** A lock was held for too long by a process that lives. */
  | 'LOCKED'

/** What this package throws on purpose: a sentence for the developer, and the facts behind it. */
export class KafkaDevError extends Error {
  readonly code: KafkaDevErrorCode
  readonly facts: Readonly<Record<string, string | number | undefined>>
  readonly retryable: boolean

  constructor(
    code: KafkaDevErrorCode,
    message: string,
    options: { facts?: Readonly<Record<string, string | number | undefined>>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'KafkaDevError'
    this.code = code
    this.facts = options.facts ?? {}
    this.retryable = code === 'LOCKED' || code === 'PORT_TAKEN'
  }
}
