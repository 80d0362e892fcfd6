import { PlateauError } from '@plateau/contracts'
import type { EventLog } from '@plateau/event-log'
import { testBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type KafkaConnection } from '../connection.js'
import { openKafkaEventLog } from '../open-kafka-event-log.js'
import { type KafkaLogOptions, settingsOf } from '../options.js'
import { topicOf } from '../testing/topic-of.js'
import { readConfigs } from './topic-configs.js'

const START_MS = 180_000

describeWithKafka('topics of a real broker', () => {
  let options: KafkaLogOptions
  let log: EventLog
  let connection: KafkaConnection
  let names = 0
  const name = () => `topics.${process.pid}.${names++}`

  beforeAll(async () => {
    const { bootstrapServers } = await testBroker()
    options = { bootstrapServers, replication: 1 }
    log = await openKafkaEventLog(options)
    connection = await connect(settingsOf(options))
  }, START_MS)

  afterAll(async () => {
    await log?.close()
    connection?.close()
  })

  test('what an operator set on a topic stays when another of its settings is changed', async () => {
    const topic = name()
    const tuned = await openKafkaEventLog({ ...options, topicConfig: { 'segment.bytes': '7654321' } })
    await tuned.ensureTopics([topicOf(topic, { retentionMs: 1_000_000 })])
    await tuned.close()
    await log.applyTopics([topicOf(topic, { retentionMs: 2_000_000 })])
    const config = await readConfigs(connection.cluster, topic)
    expect(config.get('retention.ms')).toEqual({ value: '2000000', isOverride: true })
    expect(config.get('segment.bytes')).toEqual({ value: '7654321', isOverride: true })
  })

  test('where topics are not ours to create, a missing one is named with the command that creates it', async () => {
    const strict = await openKafkaEventLog({ ...options, createTopics: false })
    const [there, missing] = [name(), name()]
    await log.ensureTopics([topicOf(there)])
    await strict.ensureTopics([topicOf(there)])
    const error = await failure(strict.ensureTopics([topicOf(there), topicOf(missing)]))
    expect(error).toMatchObject({
      code: 'UNKNOWN_TOPIC',
      message: `There is no topic ${missing}: run \`plateau topics apply\`.`,
    })
    await strict.close()
  })

  test('a refusal names every setting that does not fit, of every topic', async () => {
    const [first, second] = [name(), name()]
    await log.ensureTopics([topicOf(first), topicOf(second)])
    const error = await failure(
      log.ensureTopics([
        topicOf(first, { partitions: 2, cleanup: 'compact' }),
        topicOf(second, { maxRecordBytes: 8 * 1024 * 1024 }),
      ]),
    )
    expect(error.code).toBe('TOPIC_MISMATCH')
    expect(error.message).toContain(`${first}: partitions is 1, declared is 2`)
    expect(error.message).toContain(`${first}: cleanup.policy is delete, declared is compact`)
    expect(error.message).toContain(`${second}: max.message.bytes is`)
  })

  test('more copies than there are brokers are refused with what to do about it', async () => {
    const threefold = await openKafkaEventLog({ bootstrapServers: options.bootstrapServers })
    const error = await failure(threefold.ensureTopics([topicOf(name(), { replication: 3, minInSyncReplicas: 2 })]))
    expect(error.code).toBe('LOG_REFUSED')
    expect(error.message).toContain('fewer brokers than copies were asked for')
    await threefold.close()
  })

  test('a broker that is not there is named, after as much patience as was asked for', async () => {
    const error = await failure(openKafkaEventLog({ bootstrapServers: ['127.0.0.1:1'], timing: { patienceMs: 300 } }))
    expect(error).toMatchObject({ code: 'LOG_UNAVAILABLE', retryable: true })
    expect(error.message).toContain('127.0.0.1:1')
  })
})

async function failure(promise: Promise<unknown>): Promise<PlateauError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(thrown).toBeInstanceOf(PlateauError)
  return thrown as PlateauError
}
