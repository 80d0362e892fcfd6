import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog } from '@plateau/event-log'
import { startBroker, startCluster, type KafkaBroker, type KafkaCluster } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import kafkajs from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKafkaEventLog } from '../open-kafka-event-log.js'
import { Handed, SteadyLoad } from '../testing/steady-load.js'
import { topicOf } from '../testing/topic-of.js'
import { until } from '../testing/until.js'

const START_MS = 180_000
const TEST_MS = 180_000

describeWithKafka('a single broker that crashes and comes back', () => {
  let broker: KafkaBroker
  let log: EventLog

  beforeAll(async () => {
    broker = await startBroker()
    log = await openKafkaEventLog({ bootstrapServers: broker.bootstrapServers, replication: 1 })
  }, START_MS)

  afterAll(async () => {
    await log?.close()
    await broker?.destroy()
  }, START_MS)

  test(
    'a consumer and a reader go on: nothing is lost, and nothing that was committed comes again',
    async () => {
      const topic = 'crash'
      await log.ensureTopics([topicOf(topic, { partitions: 3 })])
      const handed = new Handed()
      const consumer = log.consumer({ group: 'crash', topics: [topic], sessionTimeoutMs: 30_000 })
      const running = consumer.run(handed.handler)
      const read: string[] = []
      const reader = log.reader({ topic, from: 'earliest' })
      const reading = (async () => {
        for await (const { records } of reader) read.push(...records.map(({ value }) => String(value)))
      })()
      const load = new SteadyLoad(log, topic)
      await until('flowing', () => handed.values.size > 100)
      await broker.kill9()
      await sleep(1000)
      await broker.start()
      const sentBefore = load.acknowledged
      await until('flowing again', () => handed.values.size > sentBefore + 100)
      const sent = await load.stop()
      await until('all handed over', () => handed.values.size === sent && new Set(read).size === sent)
      expect(handed.again).toEqual([])
      expect(read).toHaveLength(sent)
      await consumer.close()
      await running
      await reader.close()
      await reading
    },
    TEST_MS,
  )

  test(
    'away for longer than the session: the partitions count as lost, and are taken up again from what was committed',
    async () => {
      const topic = 'away'
      await log.ensureTopics([topicOf(topic, { partitions: 2 })])
      const sessionTimeoutMs = 2000
      const consumer = log.consumer({ group: 'away', topics: [topic], sessionTimeoutMs, maxBatchRecords: 1 })
      const inHand = Promise.withResolvers<void>()
      let wasAborted = false
      const refused: unknown[] = []
      const handed = new Handed()
      const running = consumer.run(async (batch, control) => {
        if (String(batch.records[0]?.value) !== 'slow' || refused.length > 0) return handed.handler(batch, control)
        inHand.resolve()
        await new Promise((resolve) => control.signal.addEventListener('abort', resolve, { once: true }))
        wasAborted = true
        await handed.handler(batch, control).catch((thrown: unknown) => refused.push(thrown))
      })
      const producer = log.producer()
      await producer.send(topic, [{ key: 'a', value: Buffer.from('slow'), headers: {} }])
      await inHand.promise
      await broker.kill9()
      await until('told that it is lost', () => wasAborted && refused.length > 0)
      expect(refused[0]).toMatchObject({ code: 'PARTITION_LOST' })
      expect(consumer.assigned).toEqual([])
      await broker.start()
      await producer.send(topic, [{ key: 'a', value: Buffer.from('next'), headers: {} }])
      await until('both handed over, the first one again', () => handed.values.size === 2)
      const committed = await log.committed('away', topic)
      expect(Math.max(...committed.map(({ offset }) => offset))).toBe(2)
      await consumer.close()
      await running
    },
    TEST_MS,
  )
})

describeWithKafka('a cluster of three', () => {
  let cluster: KafkaCluster
  let log: EventLog

  beforeAll(async () => {
    cluster = await startCluster()
    log = await openKafkaEventLog({ bootstrapServers: cluster.bootstrapServers })
  }, START_MS)

  afterAll(async () => {
    await log?.close()
    await cluster?.destroy()
  }, START_MS)

  test(
    'a leader that moves is followed without a rebalance: nothing is lost, nothing comes twice',
    async () => {
      const topic = 'moves'
      await log.ensureTopics([topicOf(topic, { partitions: 2 })])
      const handed = new Handed()
      let places = 0
      const consumer = log.consumer({ group: 'moves', topics: [topic], sessionTimeoutMs: 30_000 })
      const running = consumer.run(async (batch, control) => {
        places += batch.records.length
        expect(control.signal.aborted).toBe(false)
        await handed.handler(batch, control)
      })
      const load = new SteadyLoad(log, topic)
      await until('flowing', () => handed.values.size > 100)
      const kafka = new kafkajs.Kafka({
        brokers: [...cluster.bootstrapServers],
        logLevel: kafkajs.logLevel.NOTHING,
      })
      const admin = kafka.admin()
      await admin.connect()
      for (const [turn, node] of [2, 3, 1].entries()) {
        const partitionAssignment = [0, 1].map((partition) => ({ partition, replicas: [((node + partition) % 3) + 1] }))
        await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment }] })
        const leaders = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]!.partitions
        await until(`moved ${turn}`, async () => {
          const partitions = await leaders()
          return partitions.every(({ partitionId, leader }) => leader === ((node + partitionId) % 3) + 1)
        })
        const before = handed.values.size
        await until('flowing from there', () => handed.values.size > before + 100)
      }
      await admin.disconnect()
      const sent = await load.stop()
      await until('all handed over', () => handed.values.size === sent)
      expect(places).toBe(sent)
      expect(handed.again).toEqual([])
      await consumer.close()
      await running
    },
    TEST_MS,
  )

  test(
    'the node that leads, and coordinates the group, is killed: the others take over, nothing committed comes again',
    async () => {
      const topic = 'killed'
      await log.ensureTopics([topicOf(topic, { partitions: 3, replication: 3, minInSyncReplicas: 2 })])
      const handed = new Handed()
      const consumer = log.consumer({ group: 'killed', topics: [topic], sessionTimeoutMs: 30_000 })
      const running = consumer.run(handed.handler)
      const load = new SteadyLoad(log, topic)
      await until('flowing', () => handed.values.size > 100)
      for (const broker of cluster.brokers) {
        await broker.kill9()
        const before = handed.values.size
        await until('flowing without it', () => handed.values.size > before + 100)
        await broker.start()
        await until('flowing with it', () => handed.values.size > before + 200)
      }
      const sent = await load.stop()
      await until('all handed over', () => handed.values.size === sent)
      expect(handed.again).toEqual([])
      await consumer.close()
      await running
    },
    TEST_MS,
  )
})
