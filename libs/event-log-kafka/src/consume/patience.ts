import type { PlateauError } from '@plateau/contracts'
import type { KafkaConnection } from '../connection.js'
import type { Attempt } from '../kafka-errors.js'
import { persist } from '../persist.js'

const FINAL = ['LOG_UNAUTHORIZED', 'LOG_UNAUTHENTICATED', 'LOG_TLS_FAILED', 'LOG_CLOSED']

/** Only a person can help, or nobody has to any more: trying again would be a loop that looks healthy. */
export function isFinal({ code }: PlateauError): boolean {
  return FINAL.includes(code)
}

/** As often as it takes, up to `consumePatienceMs`: after that long without the log a restart is the better try. */
export function patiently<T>(connection: KafkaConnection, attempt: Attempt, action: () => Promise<T>): Promise<T> {
  const asError = (thrown: unknown) => connection.error(thrown, attempt)
  const { timing } = connection.settings
  return persist(action, asError, { ...timing, patienceMs: timing.consumePatienceMs })
}
