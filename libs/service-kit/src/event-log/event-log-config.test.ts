import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '@plateau/config'
import { afterAll, describe, expect, test } from 'vitest'
import { eventLogConfig } from './event-log-config.js'
import { kafkaOptions } from './kafka-options.js'

const directory = mkdtempSync(join(tmpdir(), 'plateau-kafka-config-'))
afterAll(() => rmSync(directory, { recursive: true }))

function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}
const pem = (what: string) => file(`${what}.pem`, `-----BEGIN ${what}-----\n`)

const PLATEAU_EVENT_LOG = 'kafka:a:9092,b:9092'
const optionsOf = (environment: Record<string, string>) =>
  kafkaOptions(eventLogConfig.parse({ PLATEAU_EVENT_LOG, ...environment }), ['a:9092', 'b:9092'])

function problemOf(environment: Record<string, string>): string {
  try {
    eventLogConfig.parse({ PLATEAU_EVENT_LOG, ...environment })
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.join('\n')
    throw error
  }
  return 'nothing was refused'
}

describe('the settings of Kafka', () => {
  test('an address alone is enough: plain, not compressed, creates topics, raw values', async () => {
    expect(await optionsOf({})).toEqual({
      bootstrapServers: ['a:9092', 'b:9092'],
      compression: 'none',
      createTopics: true,
      timing: { consumePatienceMs: 300_000 },
      wire: { kind: 'raw' },
    })
  })

  test('TLS by files, mutual with a certificate of our own', async () => {
    const [ca, cert, key] = [pem('CA'), pem('CERT'), pem('KEY')]
    const files = { PLATEAU_KAFKA_CA_FILE: ca, PLATEAU_KAFKA_CERT_FILE: cert, PLATEAU_KAFKA_KEY_FILE: key }
    const { tls } = await optionsOf({ PLATEAU_KAFKA_TLS: 'on', ...files })
    expect(tls).toEqual({ ca: '-----BEGIN CA-----\n', cert: '-----BEGIN CERT-----\n', key: '-----BEGIN KEY-----\n' })
  })

  test('a password comes from a file and is shown nowhere', async () => {
    const environment = {
      PLATEAU_EVENT_LOG,
      PLATEAU_KAFKA_SASL: 'scram-sha-512',
      PLATEAU_KAFKA_USERNAME: 'scorer',
      PLATEAU_KAFKA_PASSWORD_FILE: file('password', 'hush\n'),
    }
    const config = eventLogConfig.parse(environment)
    expect(JSON.stringify(eventLogConfig.describe(config))).not.toContain('hush')
    const { sasl } = await kafkaOptions(config, ['a:9092'])
    expect(sasl).toEqual({ mechanism: 'scram-sha-512', username: 'scorer', password: 'hush' })
  })

  test('a token file is read again at every login', async () => {
    const token = file('token', 'first\n')
    const { sasl } = await optionsOf({ PLATEAU_KAFKA_SASL: 'oauthbearer', PLATEAU_KAFKA_TOKEN_FILE: token })
    if (sasl?.mechanism !== 'oauthbearer') throw new Error('not by token')
    expect(await sasl.token()).toBe('first')
    writeFileSync(token, 'second')
    expect(await sasl.token()).toBe('second')
    writeFileSync(token, '\n')
    await expect(sasl.token()).rejects.toMatchObject({ code: 'TOKEN_MISSING' })
  })

  test('a file that is no PEM is named', async () => {
    const wrong = file('wrong.pem', 'not a certificate')
    await expect(optionsOf({ PLATEAU_KAFKA_TLS: 'on', PLATEAU_KAFKA_CA_FILE: wrong })).rejects.toThrow(/wrong\.pem/)
  })

  test.each([
    [{ PLATEAU_EVENT_LOG: 'embedded:x', PLATEAU_KAFKA_TLS: 'on' }, /embedded log/],
    [{ PLATEAU_KAFKA_CA_FILE: pem('CA') }, /need PLATEAU_KAFKA_TLS=on/],
    [{ PLATEAU_KAFKA_TLS: 'on', PLATEAU_KAFKA_CERT_FILE: pem('CERT') }, /belong together/],
    [{ PLATEAU_KAFKA_SASL: 'scram-sha-512' }, /needs PLATEAU_KAFKA_USERNAME/],
    [{ PLATEAU_KAFKA_USERNAME: 'scorer' }, /need PLATEAU_KAFKA_SASL/],
    [{ PLATEAU_KAFKA_SASL: 'oauthbearer' }, /PLATEAU_KAFKA_TOKEN_FILE/],
    [{ PLATEAU_KAFKA_TOKEN_FILE: pem('TOKEN') }, /PLATEAU_KAFKA_SASL=oauthbearer/],
    [
      { PLATEAU_KAFKA_SASL: 'oauthbearer', PLATEAU_KAFKA_TOKEN_ENDPOINT: 'http://idp/token' },
      /PLATEAU_KAFKA_CLIENT_SECRET/,
    ],
    [{ PLATEAU_WIRE: 'confluent' }, /PLATEAU_SCHEMA_REGISTRY/],
    [{ PLATEAU_WIRE: 'confluent', PLATEAU_SCHEMA_REGISTRY: 'registry:8081' }, /is not an http or https URL/],
    [{ PLATEAU_KAFKA_COMPRESSION: 'snappy' }, /none, gzip, lz4, zstd/],
    [{ PLATEAU_KAFKA_REPLICATION: '0' }, /PLATEAU_KAFKA_REPLICATION/],
    [{ PLATEAU_KAFKA_PASWORD: 'x' }, /did you mean PLATEAU_KAFKA_PASSWORD/],
  ])('refuses %o', (environment, problem) => {
    expect(problemOf(environment)).toMatch(problem)
  })
})
