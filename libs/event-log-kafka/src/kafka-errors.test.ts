import { PlateauError } from '@plateau/contracts'
import kafkajs from 'kafkajs'
import { expect, test } from 'vitest'
import { type Attempt, asLogError } from './kafka-errors.js'
import { createErrorFromCode } from './kafkajs/modules.js'

const identity = { principal: 'user app', bootstrapServers: ['kafka:9092'] }
const appending: Attempt = { doing: 'append to', topic: 't', partition: 1, needs: 'Write' }

const UNKNOWN_TOPIC_OR_PARTITION = 3
const NOT_LEADER_FOR_PARTITION = 6
const MESSAGE_TOO_LARGE = 10
const ILLEGAL_GENERATION = 22
const TOPIC_AUTHORIZATION_FAILED = 29
const UNSUPPORTED_FOR_MESSAGE_FORMAT = 43

test.for([
  [UNKNOWN_TOPIC_OR_PARTITION, 'UNKNOWN_TOPIC', false],
  [NOT_LEADER_FOR_PARTITION, 'LOG_UNAVAILABLE', true],
  [MESSAGE_TOO_LARGE, 'RECORD_TOO_LARGE', false],
  [ILLEGAL_GENERATION, 'PARTITION_LOST', false],
  [TOPIC_AUTHORIZATION_FAILED, 'LOG_UNAUTHORIZED', false],
  [UNSUPPORTED_FOR_MESSAGE_FORMAT, 'LOG_REFUSED', false],
] as const)("Kafka's error %i is %s", ([code, expected, retryable]) => {
  expect(asLogError(createErrorFromCode(code), appending, identity)).toMatchObject({ code: expected, retryable })
})

test('a sentence names the right, who lacks it, and what for', () => {
  expect(asLogError(createErrorFromCode(TOPIC_AUTHORIZATION_FAILED), appending, identity).message).toBe(
    'Kafka does not allow user app to append to topic t: an ACL is missing for Write (TOPIC_AUTHORIZATION_FAILED).',
  )
})

test('what kafkajs wrapped in its own retries is told by its cause', () => {
  const cause = createErrorFromCode(MESSAGE_TOO_LARGE)
  const wrapped = Object.assign(new kafkajs.KafkaJSNonRetriableError('gave up'), { cause })
  expect(asLogError(wrapped, appending, identity).code).toBe('RECORD_TOO_LARGE')
})

test.for([
  ['SELF_SIGNED_CERT_IN_CHAIN', 'an authority that is not trusted'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'an authority that is not trusted'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'for another host'],
  ['CERT_HAS_EXPIRED', 'certificate has expired'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'refused our certificate'],
] as const)('a TLS handshake that ends with %s is not tried again', ([code, reason]) => {
  const error = new kafkajs.KafkaJSConnectionError('Connection error: certificate has expired', {
    broker: 'kafka:9093',
    code,
  })
  const told = asLogError(error, appending, identity)
  expect(told).toMatchObject({ code: 'LOG_TLS_FAILED', retryable: false })
  expect(told.message).toContain('kafka:9093')
  expect(told.message).toContain(reason)
})

test('a connection that breaks can be tried again', () => {
  const error = new kafkajs.KafkaJSConnectionError('Connection error: read ECONNRESET', { code: 'ECONNRESET' })
  expect(asLogError(error, appending, identity)).toMatchObject({ code: 'LOG_UNAVAILABLE', retryable: true })
})

test('errors of ours pass as they are', () => {
  const ours = new PlateauError('LOG_CLOSED', 'closed')
  expect(asLogError(ours, appending, identity)).toBe(ours)
})
