export type S3DevErrorCode =
  /** The gateway's program, or openssl, is missing. */
  | 'UNAVAILABLE'
  /** The folder is not ours. */
  | 'WRONG_FOLDER'
  /** An option that cannot work. */
  | 'BAD_OPTION'
  /** The server exited, or did not come up in time. */
  | 'FAILED'

/** What this package throws on purpose: a sentence for the developer. */
export class S3DevError extends Error {
  readonly code: S3DevErrorCode

  constructor(code: S3DevErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'S3DevError'
    this.code = code
  }
}
