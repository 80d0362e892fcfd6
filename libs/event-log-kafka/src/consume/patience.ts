import type { PlateauError } from '@plateau/contracts'
import type { KafkaConnection } from '../connection.js'
import type { Attempt } from '../kafka-errors.js'
import { persist } from '../persist.js'

/** After this long without the log a restart is the better try: whoever consumes ends with LOG_UNAVAILABLE. */
export const MAX_UNAVAILABLE_MS = 300_000

const FINAL = ['LOG_UNAUTHORIZED', 'LOG_UNAUTHENTICATED', 'LOG_TLS_FAILED', 'LOG_CLOSED']

/** Only a person can help, or nobody has to any more: trying again would be a loop that looks healthy. */
export function isFinal({ code }: PlateauError): boolean {
  return FINAL.includes(code)
}

/** As often as it takes, up to MAX_UNAVAILABLE_MS. */
export function patiently<T>(connection: KafkaConnection, attempt: Attempt, action: () => Promise<T>): Promise<T> {
  const asError = (thrown: unknown) => connection.error(thrown, attempt)
  return persist(action, asError, { ...connection.settings.timing, patienceMs: MAX_UNAVAILABLE_MS })
}
