import { testBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type KafkaConnection } from '../connection.js'
import { KafkaCluster } from '../kafkajs/kafka-cluster.js'
import { settingsOf } from '../options.js'
import { Fetcher } from './fetcher.js'
import { GroupMember } from './group-member.js'

describeWithKafka('a log that nobody answers for', () => {
  let connection: KafkaConnection
  let nowhere: KafkaCluster

  beforeAll(async () => {
    const { bootstrapServers } = await testBroker()
    connection = await connect(settingsOf({ bootstrapServers }))
    nowhere = new KafkaCluster({ ...connection.config, brokers: ['127.0.0.1:1'] })
  }, 120_000)

  afterAll(() => {
    nowhere?.close()
    connection?.close()
  })

  test('a member gives up after its time, and says so', async () => {
    const options = { group: 'g', topics: ['t'], sessionTimeoutMs: 1000, maxUnavailableMs: 300 }
    const events = { onAssigned: () => {}, onRevoked: async () => {}, onLost: () => {}, onAlive: () => {} }
    const member = new GroupMember(options, nowhere, connection, events)
    await expect(member.run()).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
      retryable: true,
      facts: { group: 'g' },
    })
  })

  test('so does a feed, with the place that it read', async () => {
    const fetcher = new Fetcher(nowhere, connection, { maxUnavailableMs: 300 })
    const failed = Promise.withResolvers<void>()
    const feed = fetcher.feed('t', 3, 17, () => failed.resolve())
    await failed.promise
    await expect(feed.read(1)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', facts: { topic: 't', partition: 3 } })
    fetcher.close()
  })

  test('a member that is told to leave before it ever reached anybody leaves at once', async () => {
    const options = { group: 'g', topics: ['t'], sessionTimeoutMs: 1000 }
    const events = { onAssigned: () => {}, onRevoked: async () => {}, onLost: () => {}, onAlive: () => {} }
    const member = new GroupMember(options, nowhere, connection, events)
    const running = member.run()
    await member.leave()
    await expect(running).resolves.toBeUndefined()
  })
})
