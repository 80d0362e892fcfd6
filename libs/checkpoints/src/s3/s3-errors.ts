import { messageOf, PlateauError } from '@plateau/contracts'
import type { S3Options } from './s3-options.js'

interface Answer {
  readonly status: number | undefined
  readonly name: string
  readonly code: string
}

/** What the SDK throws: an answer of the server, or what Node.js says of the connection. */
function answerOf(error: unknown): Answer {
  const {
    $metadata,
    name = '',
    code = '',
  } = error as {
    readonly $metadata?: { readonly httpStatusCode?: number }
    readonly name?: string
    readonly code?: unknown
  }
  return { status: $metadata?.httpStatusCode, name, code: String(code) }
}

const MISSING = 'STORE_OBJECT_MISSING'
const CONDITION = 'STORE_CONDITION_FAILED'
const DAMAGED = 'CHECKPOINT_DAMAGED'

export function isMissing(error: unknown): boolean {
  return error instanceof PlateauError && error.code === MISSING
}

export function isConditionFailed(error: unknown): error is PlateauError {
  return error instanceof PlateauError && error.code === CONDITION
}

/** What came of an answer's body: another try tells whether that was the network. */
export function isBodyAtFault(error: unknown): boolean {
  return error instanceof PlateauError && (error.code === DAMAGED || error.code === 'STORE_BROKEN_OFF')
}

/** Of an answer whose body did not come whole, or not as its checksum says. */
export function brokenOff(error: unknown, key: string): PlateauError {
  if (error instanceof PlateauError) return error
  const isDamaged = messageOf(error).startsWith('Checksum mismatch')
  const message = isDamaged
    ? `the bytes of ${key} are not those that its checksum in the store was made of`
    : `${key} did not come whole: ${messageOf(error)}`
  return new PlateauError(isDamaged ? DAMAGED : 'STORE_BROKEN_OFF', message, {
    facts: { key },
    retryable: !isDamaged,
    cause: error,
  })
}

/** Codes that say that the settings, and not the moment, are to blame: at a start somebody has to look. */
const misconfigured = new Set([
  'STORE_BUCKET_MISSING',
  'STORE_CERTIFICATE',
  'STORE_CLOCK',
  'STORE_CREDENTIALS',
  'STORE_DENIED',
  'STORE_NO_CONDITIONS',
  'STORE_REFUSED',
  'STORE_REGION',
])

export function isStoreMisconfigured(error: unknown): boolean {
  return error instanceof PlateauError && misconfigured.has(error.code)
}

const credentialErrors = new Set(['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken'])
const certificateErrors =
  /^(CERT_|ERR_TLS_|ERR_SSL_|SELF_SIGNED|DEPTH_ZERO_SELF|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH)/

/** Of status 400, and yet of the moment. */
const mayPassLater = new Set(['RequestTimeout', 'IncompleteBody'])

/**
 * One sentence for the person on call, and whether trying again can help: what an operator mends without our doing (keys,
 * a policy, a clock) can pass while we run.
 */
export function s3Failure(error: unknown, what: string, { bucket, region, endpoint }: S3Options): PlateauError {
  if (error instanceof PlateauError) return error
  const { status, name, code } = answerOf(error)
  const failed = (errorCode: string, why: string, retryable = true): PlateauError =>
    new PlateauError(errorCode, `could not ${what}: ${why}`, {
      facts: { bucket, region, endpoint: endpoint ?? '', status: status ?? 0, answer: name },
      retryable,
      // Not the SDK's own error: that carries the whole request.
      cause: new Error(`${name} ${messageOf(error)}`.trim()),
    })
  if (name === 'NoSuchBucket') return failed('STORE_BUCKET_MISSING', `there is no bucket ${bucket}`)
  if (name === 'NoSuchKey' || (name === 'NotFound' && status === 404)) return failed(MISSING, 'it is not there', false)
  if (status === 412 || name === 'ConditionalRequestConflict')
    return failed(CONDITION, 'its condition does not hold', false)
  if (name === 'RequestTimeTooSkewed') {
    return failed('STORE_CLOCK', 'our clock and the one of the store are more than 15 minutes apart')
  }
  if (credentialErrors.has(name)) {
    return failed('STORE_CREDENTIALS', `the access key or its secret is wrong or expired (${name})`)
  }
  if (name === 'CredentialsProviderError') {
    return failed(
      'STORE_CREDENTIALS',
      `there are no credentials: set PLATEAU_S3_ACCESS_KEY_ID_FILE (${messageOf(error)})`,
    )
  }
  if (name === 'AuthorizationHeaderMalformed' || name === 'PermanentRedirect' || status === 301) {
    return failed('STORE_REGION', `bucket ${bucket} is not in region ${region} (${messageOf(error)})`)
  }
  if (name === 'NotImplemented' || status === 501) {
    return failed('STORE_NO_CONDITIONS', `the store does not know a part of the request (${messageOf(error)})`, false)
  }
  if (/Quota|Storage/.test(name) || status === 507) return failed('STORE_FULL', `the store is full (${name})`)
  if (status === 403 || status === 401) {
    return failed('STORE_DENIED', `our key may not (${name}): the policy of the bucket or user has to allow it`)
  }
  if (certificateErrors.test(code))
    return failed('STORE_CERTIFICATE', `its certificate is not trusted (${messageOf(error)})`)
  if (name === 'BadDigest' || name === 'XAmzContentSHA256Mismatch' || name === 'InvalidDigest') {
    return failed('STORE_UNAVAILABLE', 'its bytes did not arrive as they were sent')
  }
  if (
    status !== undefined &&
    status >= 400 &&
    status < 500 &&
    !mayPassLater.has(name) &&
    ![408, 409, 429].includes(status)
  ) {
    return failed('STORE_REFUSED', `the store refuses it: ${name} ${status}, ${messageOf(error)}`, false)
  }
  return failed('STORE_UNAVAILABLE', status === undefined ? messageOf(error) : `it answers ${status} ${name}`)
}
