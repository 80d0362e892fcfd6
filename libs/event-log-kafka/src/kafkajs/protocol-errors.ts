import { PlateauError } from '@plateau/contracts'
import { createErrorFromCode } from './modules.js'

/** Kafka's name for what went wrong, as kafkajs spells it; undefined when it was no answer of a broker. */
export function typeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'type' in thrown && typeof thrown.type === 'string' ? thrown.type : undefined
}

export function isOfType(thrown: unknown, ...types: readonly string[]): boolean {
  return types.includes(typeOf(thrown) ?? '')
}

/** The broker understood and refused: the connection is as good as before. */
export function isAnswer(thrown: unknown): boolean {
  return typeOf(thrown) !== undefined && !isOfType(thrown, 'ILLEGAL_SASL_STATE')
}

/** No answer came: the node is down, unreachable, or too slow; or there was no token to show it at the moment. */
export function isConnectionTrouble(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  if (thrown instanceof PlateauError) return thrown.retryable
  return [
    'KafkaJSConnectionError',
    'KafkaJSConnectionClosedError',
    'KafkaJSRequestTimeoutError',
    'KafkaJSLockTimeout',
    'KafkaJSBrokerNotFound',
    'KafkaJSNoBrokerAvailableError',
  ].includes(thrown.name)
}

/** The member that the coordinator wants the next try to come from. */
export function requiredMemberId(thrown: unknown): string | undefined {
  if (!isOfType(thrown, 'MEMBER_ID_REQUIRED')) return undefined
  return thrown instanceof Error && 'memberId' in thrown && typeof thrown.memberId === 'string'
    ? thrown.memberId
    : undefined
}

/** Who coordinates has changed, or is about to: ask again. */
export function isCoordinatorTrouble(thrown: unknown): boolean {
  return (
    isConnectionTrouble(thrown) ||
    isOfType(
      thrown,
      'NOT_COORDINATOR_FOR_GROUP',
      'GROUP_COORDINATOR_NOT_AVAILABLE',
      'GROUP_LOAD_IN_PROGRESS',
      'REQUEST_TIMED_OUT',
      'NETWORK_EXCEPTION',
      'UNSTABLE_OFFSET_COMMIT',
    )
  )
}

/** The coordinator does not know the member any more. */
export function isExpulsion(thrown: unknown): boolean {
  return isOfType(thrown, 'UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID')
}

export function errorOfCode(code: number): Error {
  return createErrorFromCode(code)
}
