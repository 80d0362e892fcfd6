import { type ErrorFacts, messageOf, PlateauError } from '@plateau/contracts'

/** What was being done when an error came, for its sentence and facts. */
export interface Attempt {
  /** For example "append to", "read", "create", "join", "commit the offsets of". */
  readonly doing: string
  readonly topic?: string
  readonly partition?: number
  readonly group?: string
  /** The right that this takes, in Kafka's words. */
  readonly needs?: 'Read' | 'Write' | 'Create' | 'Describe' | 'DescribeConfigs' | 'AlterConfigs'
}

/** Who we are to the brokers, and where they are. */
export interface Identity {
  /** For example "user app" or "certificate CN=app"; undefined for anybody. */
  readonly principal: string | undefined
  readonly bootstrapServers: readonly string[]
}

interface KafkaError extends Error {
  /** Kafka's name for it, such as NOT_LEADER_FOR_PARTITION. */
  readonly type?: string
  readonly code?: string | number
  readonly retriable?: boolean
  readonly broker?: string
  readonly errors?: readonly unknown[]
}

type Sentence = (error: KafkaError, what: string, attempt: Attempt, identity: Identity) => string
type Meaning = readonly [code: string, sentence: Sentence, retryable?: boolean]

const unauthorized: Meaning = [
  'LOG_UNAUTHORIZED',
  (error, what, { needs }, { principal }) =>
    `Kafka does not allow ${principal ?? 'an anonymous client'} to ${what}: ` +
    `an ACL is missing${needs === undefined ? '' : ` for ${needs}`} (${error.type}).`,
]
const tooLarge: Meaning = [
  'RECORD_TOO_LARGE',
  (_, what) => `Kafka could not ${what}: a batch was larger than max.message.bytes.`,
]
const fenced: Meaning = ['WRITER_FENCED', (_, what) => `Another writer has taken over: Kafka refused to ${what}.`]
const lost: Meaning = [
  'PARTITION_LOST',
  (_, what) => `Another member may own the partition by now: Kafka refused to ${what}.`,
]
const unauthenticated: Meaning = [
  'LOG_UNAUTHENTICATED',
  (error, _, __, { principal, bootstrapServers }) =>
    `SASL authentication as ${principal ?? 'nobody'} was refused by ${error.broker ?? bootstrapServers.join(', ')}: ${error.message}`,
]
const tlsFailed: Meaning = [
  'LOG_TLS_FAILED',
  (error, _, __, { bootstrapServers }) =>
    `No TLS connection to ${error.broker ?? bootstrapServers.join(', ')}: ${tlsReason(error)}.`,
]
const unavailable: Meaning = ['LOG_UNAVAILABLE', (error, what) => `Kafka could not ${what}: ${messageOf(error)}`, true]
const refused: Meaning = ['LOG_REFUSED', (error, what) => `Kafka refused to ${what}: ${messageOf(error)}`]

const byType: Readonly<Record<string, Meaning>> = {
  UNKNOWN_TOPIC_OR_PARTITION: ['UNKNOWN_TOPIC', (_, __, { topic }) => missingTopic(topic ?? 'of that name')],
  INVALID_TOPIC_EXCEPTION: ['INVALID_TOPIC_NAME', (_, __, { topic }) => `Kafka takes no topic named "${topic}".`],
  INVALID_REPLICATION_FACTOR: [
    'LOG_REFUSED',
    (_, what) =>
      `Kafka refused to ${what}: it has fewer brokers than copies were asked for; set PLATEAU_KAFKA_REPLICATION.`,
  ],
  MESSAGE_TOO_LARGE: tooLarge,
  RECORD_LIST_TOO_LARGE: tooLarge,
  TOPIC_AUTHORIZATION_FAILED: unauthorized,
  GROUP_AUTHORIZATION_FAILED: unauthorized,
  CLUSTER_AUTHORIZATION_FAILED: unauthorized,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: unauthorized,
  SASL_AUTHENTICATION_FAILED: unauthenticated,
  UNSUPPORTED_SASL_MECHANISM: unauthenticated,
  INVALID_PRODUCER_EPOCH: fenced,
  PRODUCER_FENCED: fenced,
  INVALID_PRODUCER_ID_MAPPING: fenced,
  ILLEGAL_GENERATION: lost,
  UNKNOWN_MEMBER_ID: lost,
  REBALANCE_IN_PROGRESS: lost,
  FENCED_INSTANCE_ID: lost,
}

/** What the caller gets to see of what kafkajs threw. Errors of ours pass unchanged. */
export function asLogError(thrown: unknown, attempt: Attempt, identity: Identity): PlateauError {
  const error = rootOf(thrown)
  if (error instanceof PlateauError) return error
  const { topic, partition, group } = attempt
  const facts: ErrorFacts = {
    topic,
    partition,
    group,
    operation: attempt.needs,
    principal: identity.principal,
    broker: error.broker,
    reason: error.type ?? error.name,
  }
  const [code, sentence, retryable = false] = meaningOf(error)
  return new PlateauError(code, sentence(error, whatOf(attempt), attempt, identity), {
    facts,
    retryable,
    cause: thrown,
  })
}

export function unknownTopic(topic: string): PlateauError {
  return new PlateauError('UNKNOWN_TOPIC', missingTopic(topic), { facts: { topic } })
}

function meaningOf(error: KafkaError): Meaning {
  const known = error.type === undefined ? undefined : byType[error.type]
  if (known !== undefined) return known
  if (error.name === 'KafkaJSSASLAuthenticationError') return unauthenticated
  if (isTlsError(error)) return tlsFailed
  // What Kafka answers knows whether it passes; what happens on the way to Kafka (connections, time-outs) does.
  return error.type !== undefined && error.retriable === false ? refused : unavailable
}

function missingTopic(topic: string): string {
  return `There is no topic ${topic}: run \`plateau topics apply\`.`
}

function whatOf({ doing, topic, group }: Attempt): string {
  return doing + (topic === undefined ? '' : ` topic ${topic}`) + (group === undefined ? '' : ` as group ${group}`)
}

/** kafkajs wraps what happened in what it did about it. */
function rootOf(thrown: unknown): KafkaError {
  const error: KafkaError = thrown instanceof Error ? thrown : new Error(messageOf(thrown))
  if (error instanceof PlateauError) return error
  const inner = error.errors?.[0] ?? error.cause
  return inner instanceof Error && inner !== error ? rootOf(inner) : error
}

// OpenSSL's verdicts on a certificate, as Node.js names them, and its own failures during the handshake.
const TLS_CODE =
  /^(ERR_SSL_|ERR_TLS_|ERR_OSSL_|CERT_|CRL_|.*_CERT(_|$)|UNABLE_TO_VERIFY_LEAF_SIGNATURE|INVALID_CA|HOSTNAME_MISMATCH)/
const CLOSED_DURING_HANDSHAKE = 'before secure TLS connection was established'

function isTlsError({ code, message }: KafkaError): boolean {
  return (typeof code === 'string' && TLS_CODE.test(code)) || message.includes(CLOSED_DURING_HANDSHAKE)
}

function tlsReason({ code, message }: KafkaError): string {
  const said = message.replace(/^Connection error: /, '').trim()
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `the broker's certificate is for another host (${said})`
  if (typeof code === 'string' && /SELF_SIGNED|VERIFY_LEAF|ISSUER/.test(code)) {
    return `the broker's certificate comes from an authority that is not trusted (${code})`
  }
  if (typeof code === 'string' && /ALERT/.test(code))
    return `the broker refused our certificate, or that we sent none (${code})`
  return said
}
