import { type ErrorFacts, messageOf, PlateauError } from '@plateau/contracts'

/** What was being done when an error came, for its sentence and facts. */
export interface Attempt {
  /** For example "append to", "read", "create", "join", "commit the offsets of". */
  readonly doing: string
  readonly topic?: string
  readonly partition?: number
  readonly group?: string
  /** As whom: the SASL user, the certificate's subject. */
  readonly principal?: string | undefined
}

interface KafkaError extends Error {
  /** Kafka's name for it, such as NOT_LEADER_FOR_PARTITION. */
  readonly type?: string
  readonly code?: string | number
  readonly retriable?: boolean
  readonly broker?: string
  readonly cause?: unknown
  readonly errors?: readonly unknown[]
}

/** What the caller gets to see of what kafkajs threw. Errors of ours pass unchanged. */
export function asLogError(thrown: unknown, attempt: Attempt): unknown {
  if (thrown instanceof PlateauError) return thrown
  if (!(thrown instanceof Error)) return thrown
  const error = rootOf(thrown)
  const { principal, topic, partition, group } = attempt
  const facts: ErrorFacts = {
    topic,
    partition,
    group,
    principal,
    broker: error.broker,
    reason: error.type ?? error.name,
  }
  const make = (code: string, sentence: string, retryable = false) =>
    new PlateauError(code, sentence, { facts, retryable, cause: thrown })
  const what = `${attempt.doing}${topic === undefined ? '' : ` topic ${topic}`}${group === undefined ? '' : ` as group ${group}`}`
  return make('LOG_UNAVAILABLE', `Kafka could not ${what}: ${messageOf(error)}`, error.retriable !== false)
}

export function closedError(): PlateauError {
  return new PlateauError('LOG_CLOSED', 'The event log, or this part of it, has been closed.')
}

export function unknownTopic(topic: string): PlateauError {
  return new PlateauError('UNKNOWN_TOPIC', `There is no topic ${topic}: run \`plateau topics apply\`.`, {
    facts: { topic },
  })
}

/** kafkajs wraps what happened in what it did about it. */
function rootOf(error: KafkaError): KafkaError {
  const inner = error.errors?.[0] ?? error.cause
  return inner instanceof Error && inner !== error ? rootOf(inner) : error
}
