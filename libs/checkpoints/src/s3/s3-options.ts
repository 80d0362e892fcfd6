export interface S3Options {
  readonly bucket: string
  /** Of every key: '' or one that ends in '/'. */
  readonly prefix: string
  readonly region: string
  /** Not set: AWS's of the region. With one, buckets are addressed as paths below it. */
  readonly endpoint?: string | undefined
  /** Not set: what the AWS SDK finds by itself (web identity of the pod, instance profile). */
  readonly credentials?: S3CredentialFiles | undefined
  /** PEM of the authorities that sign the endpoint's certificate. Not set: those that Node.js trusts. */
  readonly caFile?: string | undefined
  readonly timing?: Partial<S3Timing> | undefined
  /** Milliseconds since 1970. Default: the system's. */
  readonly clock?: (() => number) | undefined
}

/** Each holds one line. They are read for every request, so that keys can be replaced while we run. */
export interface S3CredentialFiles {
  readonly accessKeyIdFile: string
  readonly secretAccessKeyFile: string
}

export interface S3Timing {
  /** A connection that is not open by then is given up. */
  readonly connectMs: number
  /** A connection on which nothing moves for so long is given up. */
  readonly idleMs: number
  /** Everything about one request, all attempts together; large objects have a second more for every `slowestBytes`. */
  readonly requestMs: number
  readonly slowestBytesPerSecond: number
  /** Attempts at one request, with growing pauses between them. */
  readonly attempts: number
}

export const standardTiming: S3Timing = {
  connectMs: 3000,
  idleMs: 10_000,
  requestMs: 30_000,
  slowestBytesPerSecond: 1024 ** 2,
  attempts: 5,
}
