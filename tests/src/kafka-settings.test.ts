import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { topics, type TopicSpec } from '@plateau/contracts'
import type { ServiceName } from '@plateau/demo'
import { openKafkaEventLog } from '@plateau/event-log-kafka'
import {
  addAcl,
  type BrokerSecurity,
  freePorts,
  type KafkaBroker,
  startBroker,
  testSecureBroker,
  unsecuredToken,
} from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tinyModel } from './models.js'
import { runToEnd, startService } from './service-process.js'
import { until } from './until.js'

const ENDS_WITHIN_MS = 90_000
const scratch = mkdtempSync(join(tmpdir(), 'plateau-kafka-settings-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

function file(name: string, text: string): string {
  writeFileSync(join(scratch, name), text, { mode: 0o600 })
  return join(scratch, name)
}

/** Runs a service, which must end by itself with one fatal line that has this code; returns the line's sentence. */
async function refusalOf(
  env: Record<string, string>,
  code: string,
  service: ServiceName = 'flatness-scorer',
): Promise<string> {
  const ended = await runToEnd(
    service,
    { PLATEAU_OPS_PORT: '0', PLATEAU_KAFKA_REPLICATION: '1', ...env },
    ENDS_WITHIN_MS,
  )
  const fatal = ended.output.split('\n').filter((line) => line.includes('"level":"fatal"'))
  expect({ code: ended.code, fatal: fatal.length, output: ended.output }).toMatchObject({ code: 1, fatal: 1 })
  const line = JSON.parse(fatal[0]!) as Record<string, string>
  expect([line['message'], line['error.type']]).toEqual(['could not start', code])
  return line['exception.message']!
}

describeWithKafka('a service on a broker that asks who is there', () => {
  let broker: KafkaBroker
  let security: Extract<BrokerSecurity, { kind: 'sasl_ssl' }>
  let tls: Record<string, string>

  beforeAll(async () => {
    broker = await testSecureBroker()
    if (broker.security.kind !== 'sasl_ssl') throw new Error('not a secure broker')
    security = broker.security
    tls = {
      PLATEAU_EVENT_LOG: `kafka:${broker.bootstrap}`,
      PLATEAU_KAFKA_TLS: 'on',
      PLATEAU_KAFKA_CA_FILE: security.caFile,
    }
    const operations = ['Create', 'Describe', 'DescribeConfigs', 'Read', 'Write']
    for (const topic of ['internal.plateau.', 'public.plateau.']) {
      await addAcl(broker, { user: 'app', operations, topic, prefixed: true })
    }
    await addAcl(broker, { user: 'app', operations: ['Read', 'Describe'], group: 'flatness-scorer.', prefixed: true })
  })

  const scram = (user: string, password = security.users.find(({ name }) => name === user)!.password) => ({
    ...tls,
    PLATEAU_KAFKA_SASL: 'scram-sha-512',
    PLATEAU_KAFKA_USERNAME: user,
    PLATEAU_KAFKA_PASSWORD_FILE: file(`password-${user}`, `${password}\n`),
  })

  /** Starts and drains. */
  async function exitCodeAfterStart(env: Record<string, string>): Promise<number | string> {
    const scorer = startService('flatness-scorer', {
      PLATEAU_OPS_PORT: '0',
      PLATEAU_KAFKA_REPLICATION: '1',
      ...env,
    })
    try {
      await until(async () => scorer.logged('service running')[0], ENDS_WITHIN_MS)
    } finally {
      scorer.signal('SIGTERM')
    }
    return scorer.ended
  }

  test('works with a user, a certificate or a token that have the rights', async () => {
    expect(await exitCodeAfterStart(scram('app'))).toBe(0)
    const byCertificate = {
      ...tls,
      PLATEAU_EVENT_LOG: `kafka:${security.mtls.bootstrap}`,
      PLATEAU_KAFKA_CERT_FILE: security.mtls.certFile,
      PLATEAU_KAFKA_KEY_FILE: security.mtls.keyFile,
    }
    expect(await exitCodeAfterStart(byCertificate)).toBe(0)
    const byToken = {
      ...tls,
      PLATEAU_EVENT_LOG: `kafka:${security.oauth.bootstrap}`,
      PLATEAU_KAFKA_SASL: 'oauthbearer',
      PLATEAU_KAFKA_TOKEN_FILE: file('token', unsecuredToken('app')),
    }
    expect(await exitCodeAfterStart(byToken)).toBe(0)
  })

  test('names a wrong password, by user and broker, and keeps it to itself', async () => {
    const env = scram('app', 'guessed')
    const sentence = await refusalOf(env, 'LOG_UNAUTHENTICATED')
    expect(sentence).toContain('app')
    expect(sentence).toContain(broker.bootstrap)
    expect(sentence).not.toContain('guessed')
  })

  test('names a missing right, by user and topic', async () => {
    const sentence = await refusalOf(scram('guest'), 'LOG_UNAUTHORIZED')
    expect(sentence).toContain('guest')
    expect(sentence).toMatch(/plateau\.[a-z-]+\.v1/)
  })

  test('names a broker whose authority it does not trust', async () => {
    const { PLATEAU_KAFKA_CA_FILE: _, ...untrusting }: Record<string, string> = scram('app')
    expect(await refusalOf(untrusting, 'LOG_TLS_FAILED')).toContain('not trusted')
  })

  test('names a certificate that the broker does not accept', async () => {
    const { certFile, keyFile } = security.mtls.stranger
    const env = {
      ...tls,
      PLATEAU_EVENT_LOG: `kafka:${security.mtls.bootstrap}`,
      PLATEAU_KAFKA_CERT_FILE: certFile,
      PLATEAU_KAFKA_KEY_FILE: keyFile,
    }
    expect(await refusalOf(env, 'LOG_TLS_FAILED')).toContain('certificate')
  })
})

describeWithKafka('a service on a broker of its own', () => {
  let broker: KafkaBroker

  beforeAll(async () => {
    broker = await startBroker()
  })
  afterAll(() => broker.destroy())

  const env = () => ({ PLATEAU_EVENT_LOG: `kafka:${broker.bootstrap}`, PLATEAU_KAFKA_REPLICATION: '1' })

  test('is not ready while the broker is silent, says why, and is ready again when it answers', async () => {
    const [opsPort] = await freePorts(1)
    const scorer = startService('flatness-scorer', { ...env(), PLATEAU_OPS_PORT: String(opsPort) })
    const readiness = async () => {
      const response = await fetch(`http://127.0.0.1:${opsPort}/readyz`)
      return { status: response.status, body: await response.text() }
    }
    try {
      await until(async () => scorer.logged('service running')[0], ENDS_WITHIN_MS)
      expect(await readiness()).toMatchObject({ status: 200 })
      broker.freeze()
      await until(async () => ((await readiness()).status === 503 ? true : undefined), ENDS_WITHIN_MS)
      expect((await readiness()).body).toMatch(/"event log":"has not answered for \d+ s"/)
      expect((await fetch(`http://127.0.0.1:${opsPort}/healthz`)).status).toBe(200)
      broker.thaw()
      await until(async () => ((await readiness()).status === 200 ? true : undefined), ENDS_WITHIN_MS)
    } finally {
      broker.thaw()
      scorer.signal('SIGTERM')
    }
    expect(await scorer.ended).toBe(0)
  })

  test('refuses a topic that cannot do what it is for, and names the setting', async () => {
    const log = await openKafkaEventLog({ bootstrapServers: broker.bootstrapServers, replication: 1 })
    await log.ensureTopics([{ ...(topics.draftCheckpoints as unknown as TopicSpec), cleanup: 'delete', partitions: 2 }])
    await log.close()
    const serving = { ...env(), PLATEAU_MODEL: tinyModel, PLATEAU_SPECULATION: 'off' }
    const sentence = await refusalOf(serving, 'TOPIC_MISMATCH', 'serving')
    for (const named of [topics.draftCheckpoints.name, 'cleanup.policy', 'partitions']) {
      expect(sentence).toContain(named)
    }
  })
})

describe('a service whose broker is not there', () => {
  test('tries for a while, names it and ends', async () => {
    const [port] = await freePorts(1)
    const address = `127.0.0.1:${port}`
    expect(await refusalOf({ PLATEAU_EVENT_LOG: `kafka:${address}` }, 'LOG_UNAVAILABLE')).toContain(address)
  })
})
