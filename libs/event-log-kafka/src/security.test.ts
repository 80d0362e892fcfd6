import { readFileSync } from 'node:fs'
import { PlateauError } from '@plateau/contracts'
import type { EventLog } from '@plateau/event-log'
import { addAcl, type BrokerSecurity, type KafkaBroker, testSecureBroker, unsecuredToken } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openKafkaEventLog } from './open-kafka-event-log.js'
import type { KafkaLogOptions, SaslOptions, TlsOptions } from './options.js'
import { topicOf } from './testing/topic-of.js'

const START_MS = 180_000
/** So long that whatever is tried again and again fails its test by time. */
const ENDLESS_MS = 3_600_000

type Secure = Extract<BrokerSecurity, { kind: 'sasl_ssl' }>

describeWithKafka('a broker that asks who is there', () => {
  let broker: KafkaBroker
  let security: Secure
  let ca: string
  const opened: EventLog[] = []

  const open = async (options: Partial<KafkaLogOptions>): Promise<EventLog> => {
    const log = await openKafkaEventLog({
      bootstrapServers: broker.bootstrapServers,
      tls: { ca },
      replication: 1,
      timing: { patienceMs: ENDLESS_MS, deliveryTimeoutMs: ENDLESS_MS },
      ...options,
    })
    opened.push(log)
    return log
  }

  const scram = (user: string): SaslOptions => {
    const { name, password } = security.users.find((candidate) => candidate.name === user)!
    return { mechanism: 'scram-sha-512', username: name, password }
  }

  const identity = (files: { readonly certFile: string; readonly keyFile: string }): TlsOptions => ({
    ca,
    cert: readFileSync(files.certFile, 'utf8'),
    key: readFileSync(files.keyFile, 'utf8'),
  })

  beforeAll(async () => {
    broker = await testSecureBroker()
    if (broker.security.kind !== 'sasl_ssl') throw new Error('not a secure broker')
    security = broker.security
    ca = readFileSync(security.caFile, 'utf8')
    const mayUse = ['Create', 'Describe', 'DescribeConfigs', 'Read', 'Write']
    await addAcl(broker, { user: 'app', operations: mayUse, topic: 'security.', prefixed: true })
    await addAcl(broker, { user: 'app', operations: ['Read'], group: 'security.', prefixed: true })
    await addAcl(broker, {
      user: 'guest',
      operations: ['Describe', 'DescribeConfigs'],
      topic: 'security.',
      prefixed: true,
    })
    await addAcl(broker, { user: 'guest', operations: ['Read'], topic: 'security.read-only' })
  }, START_MS)

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((log) => log.close()))
  })

  describe('lets in', () => {
    test('by SCRAM-SHA-512', async () => {
      expect(await useEverything(await open({ sasl: scram('app') }), 'security.scram')).toBe(1)
    })

    test('by certificate', async () => {
      const { mtls } = security
      const log = await open({ bootstrapServers: [mtls.bootstrap], tls: identity(mtls) })
      expect(await useEverything(log, 'security.mtls')).toBe(1)
    })

    test('by bearer token, which is asked for at each authentication', async () => {
      let asked = 0
      const token = async () => (asked++, unsecuredToken('app'))
      const sasl: SaslOptions = { mechanism: 'oauthbearer', token }
      const log = await open({ bootstrapServers: [security.oauth.bootstrap], sasl })
      expect(await useEverything(log, 'security.oauth')).toBe(1)
      expect(asked).toBeGreaterThan(1)
    })
  })

  describe('turns away at once, in one line that says why', () => {
    test('a wrong password', async () => {
      const sasl: SaslOptions = { mechanism: 'scram-sha-512', username: 'app', password: 'guessed' }
      const error = await failure(open({ sasl }))
      expect(error.code).toBe('LOG_UNAUTHENTICATED')
      expect(error.message).toContain(`SASL authentication as user app was refused by ${broker.bootstrap}`)
    })

    test('a token that has expired', async () => {
      const token = async () => unsecuredToken('app', -60_000)
      const sasl: SaslOptions = { mechanism: 'oauthbearer', token, principal: 'app' }
      const error = await failure(open({ bootstrapServers: [security.oauth.bootstrap], sasl }))
      expect(error.code).toBe('LOG_UNAUTHENTICATED')
    })

    test('a mechanism that it does not speak', async () => {
      const sasl: SaslOptions = { mechanism: 'oauthbearer', token: async () => unsecuredToken('app') }
      expect((await failure(open({ sasl }))).code).toBe('LOG_UNAUTHENTICATED')
    })

    test('a client that does not trust its authority', async () => {
      const error = await failure(open({ tls: {}, sasl: scram('app') }))
      expect(error.code).toBe('LOG_TLS_FAILED')
      expect(error.message).toContain('an authority that is not trusted')
    })

    test('a client that looked for another host', async () => {
      const addressOf = ({ port }: { readonly port: number }) => ({ host: '127.0.0.1', port })
      const bootstrapServers = [`broker.elsewhere.example:${broker.port}`]
      const error = await failure(open({ bootstrapServers, addressOf, sasl: scram('app') }))
      expect(error.code).toBe('LOG_TLS_FAILED')
      expect(error.message).toContain('for another host')
    })

    test('a certificate from a stranger', async () => {
      const { mtls } = security
      const error = await failure(open({ bootstrapServers: [mtls.bootstrap], tls: identity(mtls.stranger) }))
      expect(error.code).toBe('LOG_TLS_FAILED')
      expect(error.message).toContain('refused our certificate')
    })

    test('no certificate where one is asked for', async () => {
      const error = await failure(open({ bootstrapServers: [security.mtls.bootstrap] }))
      expect(error.code).toBe('LOG_TLS_FAILED')
    })

    test('a key that is no key', async () => {
      const tls = { ...identity(security.mtls), key: 'not a key' }
      expect((await failure(open({ bootstrapServers: [security.mtls.bootstrap], tls }))).code).toBe('LOG_TLS_FAILED')
    })
  })

  describe('names the right that is missing', () => {
    test('to append', async () => {
      const topic = await existing('security.no-write')
      const guest = await open({ sasl: scram('guest') })
      const error = await failure(guest.producer().send(topic, [recordOf('x')]))
      expect(error.code).toBe('LOG_UNAUTHORIZED')
      expect(error.message).toContain(
        `does not allow user guest to append to topic ${topic}: an ACL is missing for Write`,
      )
    })

    test('to read', async () => {
      const topic = await existing('security.no-read')
      const guest = await open({ sasl: scram('guest') })
      const reader = guest.reader({ topic, from: 'earliest' })
      const error = await failure(reader[Symbol.asyncIterator]().next())
      expect(error.code).toBe('LOG_UNAUTHORIZED')
      expect(error.facts).toMatchObject({ topic, principal: 'user guest' })
    })

    test('to join a group', async () => {
      const topic = await existing('security.read-only')
      const guest = await open({ sasl: scram('guest') })
      const consumer = guest.consumer({ group: 'security.others', topics: [topic] })
      const error = await failure(consumer.run(async () => {}))
      expect(error.code).toBe('LOG_UNAUTHORIZED')
      expect(error.facts).toMatchObject({ group: 'security.others', principal: 'user guest' })
    })

    test('to commit for a group', async () => {
      const topic = await existing('security.read-only')
      const guest = await open({ sasl: scram('guest') })
      const error = await failure(guest.commit('security.others', topic, [{ partition: 0, offset: 0 }]))
      expect(error.code).toBe('LOG_UNAUTHORIZED')
      expect(error.message).toContain('as group security.others')
    })

    test('to create a topic', async () => {
      const guest = await open({ sasl: scram('guest') })
      const error = await failure(guest.ensureTopics([topicOf('security.not-there')]))
      expect(error.code).toBe('LOG_UNAUTHORIZED')
      expect(error.message).toContain('to create topic security.not-there: an ACL is missing for Create')
    })

    test('to know of a topic at all', async () => {
      const guest = await open({ sasl: scram('guest') })
      const error = await failure(guest.offsets('unheard-of'))
      expect(error.code).toBe('LOG_UNAUTHORIZED')
      expect(error.facts).toMatchObject({ topic: 'unheard-of' })
    })
  })

  const existing = async (topic: string): Promise<string> => {
    const app = await open({ sasl: scram('app') })
    await app.ensureTopics([topicOf(topic)])
    await app.producer().send(topic, [recordOf('not for everybody')])
    return topic
  }
})

/** Creates, appends, reads, consumes and commits; the offset that the group goes on from. */
async function useEverything(log: EventLog, topic: string): Promise<number | undefined> {
  await log.ensureTopics([topicOf(topic)])
  await log.producer().send(topic, [recordOf('hello')])
  const reader = log.reader({ topic, from: 'earliest' })
  for await (const { records } of reader) if (records.length > 0) break
  const consumer = log.consumer({ group: `${topic}.group`, topics: [topic] })
  const committed = Promise.withResolvers<void>()
  const running = consumer.run(async ({ records }, control) => {
    await control.commit(records.at(-1)!.offset + 1)
    committed.resolve()
  })
  await Promise.race([committed.promise, running])
  await consumer.close()
  await running
  return (await log.committed(`${topic}.group`, topic))[0]?.offset
}

function recordOf(key: string) {
  return { key, value: Buffer.from(key), headers: {} }
}

async function failure(promise: Promise<unknown>): Promise<PlateauError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(thrown).toBeInstanceOf(PlateauError)
  const error = thrown as PlateauError
  expect(error.retryable).toBe(false)
  expect(error.message).not.toContain('\n')
  return error
}
